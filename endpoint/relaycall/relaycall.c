// SPDX-License-Identifier: BSD-3-Clause
// relaycall: lines and files between two hosts through a relay, by contact string. Reads options,
// runs one verb.
#include "endpoint/relaycall/relaycall.h"

#include "endpoint/relaycall/identity.h"

#include <sodium.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage_text[] =
	"usage: relaycall [-j] [--identity FILE] VERB [OPTION...]\n"
	"\n"
	"  id [--relay HOST[:PORT]]... [--relay-key KEY]\n"
	"                               print the own contact; make the identity at first use,\n"
	"                               and note the relay to be reached at\n"
	"  listen [--dir FOLDER] [--limit BYTES] [--ask] [--once]\n"
	"                               be reachable; show lines, keep files in FOLDER (without "
	"it\n"
	"                               they are declined) until Ctrl-C\n"
	"  send CONTACT --text LINE [--by-address]\n"
	"  send CONTACT FILE            send a line or a file; by address: without confirmation\n"
	"  token request COUNT FILE     ask the relay's operator for tokens: FILE is for him\n"
	"  token take FILE ANSWER TOKENS\n"
	"                               put what he answered into the file TOKENS\n"
	"  token count TOKENS           how many are left\n"
	"\n"
	"      --identity FILE          default: ~/.config/blindrelay/identity\n"
	"      --relay HOST[:PORT]      listen: another relay than the noted one; up to 4 "
	"addresses\n"
	"                               of one relay\n"
	"      --relay-key KEY          the relay's key (relayctl status); token take: the\n"
	"                               operator's public token key\n"
	"      --second-relay HOST[:PORT], --second-relay-key KEY\n"
	"                               id: another relay, for when the first is gone\n"
	"      --tokens FILE            listen, send: tokens, where the relay wants them\n"
	"      --timeout SECONDS        send: until the call must be open; default 60\n"
	"      --epoch SECONDS          length of the relay's epochs; default 3600\n"
	"  -j, --json                   JSON instead of text\n"
	"  -h, --help                   this text\n"
	"      --version                version\n"
	"\n"
	"exit status: 0 done, 1 failed, 2 wrong usage, 3 relay not reachable or refuses,\n"
	"             4 the peer is absent, declines, or has gone; 130 interrupted\n";

enum {
	TAKES_RELAY = 1,
	TAKES_KEY = 2,
	TAKES_LISTEN = 4,
	TAKES_SEND = 8,
	TAKES_NETWORK = 16, // --tokens, --epoch
	TAKES_SECOND = 32,  // --second-relay, --second-relay-key
};

struct verb {
	const char *name;
	unsigned takes;
	int least, most; // operands
	const char *operands;
	int (*run)(const struct relaycall_options *options);
};

static const struct verb verbs[] = {
	{"id", TAKES_RELAY | TAKES_KEY | TAKES_SECOND, 0, 0, "", relaycall_id},
	{"listen", TAKES_RELAY | TAKES_KEY | TAKES_LISTEN | TAKES_NETWORK, 0, 0, "",
		relaycall_listen},
	{"send", TAKES_SEND | TAKES_NETWORK, 1, 2, " CONTACT and --text LINE or FILE",
		relaycall_send},
	{"token", TAKES_KEY, 0, 4, "", relaycall_token},
};

static int wrong_usage(const char *what, const char *detail)
{
	fprintf(stderr, "relaycall: %s%s%s\nTry: relaycall --help\n", what,
		detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return RELAYCALL_USAGE;
}

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	*out = number;
	return errno == 0 && *end == 0 && number >= least && number <= most;
}

enum {
	OPTION_IDENTITY = 256,
	OPTION_RELAY,
	OPTION_RELAY_KEY,
	OPTION_SECOND_RELAY,
	OPTION_SECOND_RELAY_KEY,
	OPTION_TOKENS,
	OPTION_DIR,
	OPTION_LIMIT,
	OPTION_ASK,
	OPTION_ONCE,
	OPTION_TEXT,
	OPTION_BY_ADDRESS,
	OPTION_TIMEOUT,
	OPTION_EPOCH,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"identity", required_argument, NULL, OPTION_IDENTITY},
	{"relay", required_argument, NULL, OPTION_RELAY},
	{"relay-key", required_argument, NULL, OPTION_RELAY_KEY},
	{"second-relay", required_argument, NULL, OPTION_SECOND_RELAY},
	{"second-relay-key", required_argument, NULL, OPTION_SECOND_RELAY_KEY},
	{"tokens", required_argument, NULL, OPTION_TOKENS},
	{"dir", required_argument, NULL, OPTION_DIR},
	{"limit", required_argument, NULL, OPTION_LIMIT},
	{"ask", no_argument, NULL, OPTION_ASK},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"text", required_argument, NULL, OPTION_TEXT},
	{"by-address", no_argument, NULL, OPTION_BY_ADDRESS},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"epoch", required_argument, NULL, OPTION_EPOCH},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

// -1: fine.
static int read_relay(struct endpoint_contact_relay *relay)
{
	if (relay->address_count == ENDPOINT_CONTACT_ADDRESSES_MAX)
		return wrong_usage("more addresses of a relay than four", optarg);
	if (endpoint_contact_address_parse(optarg, &relay->addresses[relay->address_count++]) != 0)
		return wrong_usage(
			"--relay wants an address or a name, and perhaps a port", optarg);
	return -1;
}

static int read_relay_key(struct endpoint_contact_relay *relay)
{
	relay->has_key = identity_key_parse(optarg, relay->key);
	return relay->has_key ? -1 : wrong_usage("--relay-key wants 32 bytes in base64", optarg);
}

// Of listen and send. -1: fine.
static int read_verb_option(int c, struct relaycall_options *o, unsigned *given)
{
	uint64_t number;

	switch (c) {
	case OPTION_DIR:
		o->directory = optarg;
		*given |= TAKES_LISTEN;
		return -1;
	case OPTION_LIMIT:
		if (!read_number(optarg, 0, UINT64_MAX, &o->limit))
			return wrong_usage("--limit wants a number of bytes", optarg);
		o->has_limit = true;
		*given |= TAKES_LISTEN;
		return -1;
	case OPTION_ASK:
		o->ask = true;
		*given |= TAKES_LISTEN;
		return -1;
	case OPTION_ONCE:
		o->once = true;
		*given |= TAKES_LISTEN;
		return -1;
	case OPTION_TEXT:
		o->text = optarg;
		*given |= TAKES_SEND;
		return -1;
	case OPTION_BY_ADDRESS:
		o->by_address = true;
		*given |= TAKES_SEND;
		return -1;
	case OPTION_TIMEOUT:
		if (!read_number(optarg, 1, 86400, &number))
			return wrong_usage("--timeout wants seconds from 1 to 86400", optarg);
		o->timeout_s = (unsigned)number;
		*given |= TAKES_SEND;
		return -1;
	default:
		return wrong_usage("option not understood", NULL);
	}
}

// Fills options and *given (TAKES_ bits). -1 to go on, else the exit code.
static int read_options(int argc, char **argv, struct relaycall_options *o, unsigned *given)
{
	uint64_t number;
	int code;

	for (int c; (c = getopt_long(argc, argv, "jh", long_options, NULL)) != -1;)
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return RELAYCALL_OK;
		case OPTION_VERSION:
			puts("relaycall " VERSION);
			return RELAYCALL_OK;
		case OPTION_IDENTITY:
			o->identity = optarg;
			break;
		case OPTION_RELAY:
		case OPTION_SECOND_RELAY:
			*given |= c == OPTION_RELAY ? TAKES_RELAY : TAKES_SECOND;
			code = read_relay(&o->relays[c == OPTION_SECOND_RELAY]);
			if (code >= 0)
				return code;
			break;
		case OPTION_RELAY_KEY:
		case OPTION_SECOND_RELAY_KEY:
			*given |= c == OPTION_RELAY_KEY ? TAKES_KEY : TAKES_SECOND;
			code = read_relay_key(&o->relays[c == OPTION_SECOND_RELAY_KEY]);
			if (code >= 0)
				return code;
			break;
		case OPTION_TOKENS:
			*given |= TAKES_NETWORK;
			o->tokens = optarg;
			break;
		case OPTION_EPOCH:
			*given |= TAKES_NETWORK;
			if (!read_number(optarg, 2, UINT32_MAX, &number))
				return wrong_usage("--epoch wants seconds, at least 2", optarg);
			o->epoch_seconds = (unsigned)number;
			break;
		default:
			code = read_verb_option(c, o, given);
			if (code >= 0)
				return code;
			break;
		}
	return -1;
}

// The answer must have reached stdout, or nothing was done.
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	return relaycall_fail(RELAYCALL_FAILED, "cannot write the answer: %s", strerror(errno));
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int check_send(const struct relaycall_options *o, int operands)
{
	if ((o->text != NULL) == (operands == 2))
		return wrong_usage("send wants either --text LINE or a FILE", NULL);
	if (o->by_address && o->text == NULL)
		return wrong_usage("only a line goes by address", NULL);
	return -1;
}

int main(int argc, char **argv)
{
	static struct relaycall_options options;
	unsigned given = 0;

	if (sodium_init() < 0)
		return relaycall_fail(RELAYCALL_FAILED, "the system has no randomness");
	int code = read_options(argc, argv, &options, &given);
	if (code >= 0)
		return finish(code);
	if (optind == argc)
		return wrong_usage("no verb given", NULL);
	const struct verb *verb = find_verb(argv[optind]);
	int operands = argc - optind - 1;
	if (verb == NULL)
		return wrong_usage("unknown verb", argv[optind]);
	if (given & ~verb->takes)
		return wrong_usage("an option that this verb does not take", verb->name);
	if (operands > verb->most)
		return wrong_usage("unexpected word", argv[optind + 1 + verb->most]);
	if (operands < verb->least) {
		fprintf(stderr, "relaycall: %s wants%s\nTry: relaycall --help\n", verb->name,
			verb->operands);
		return RELAYCALL_USAGE;
	}
	for (int i = 0; i < operands; i++)
		options.operand[i] = argv[optind + 1 + i];
	code = verb->run == relaycall_send ? check_send(&options, operands) : -1;
	return code >= 0 ? code : finish(verb->run(&options));
}
