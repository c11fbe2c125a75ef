// SPDX-License-Identifier: BSD-3-Clause
// relaycall: calls, lines and files between two hosts, by contact card. Reads options,
// runs one verb.
#include "endpoint/relaycall/core_dump.h"
#include "endpoint/relaycall/relaycall.h"

#include "endpoint/relaycall/call_options.h"

#include <sodium.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct verb {
	const char *name;
	unsigned takes;
	int least, most; // operands
	const char *operands;
	int (*run)(const struct relaycall_options *options);
};

static const struct verb verbs[] = {
	{"id", TAKES_RELAY | TAKES_KEY | TAKES_ID, 0, 0, "", relaycall_id},
	{"contacts", 0, 0, 3, "", relaycall_contacts},
	{"call", TAKES_CALL | TAKES_PATIENCE | TAKES_NETWORK, 1, 1, " a CONTACT", relaycall_call},
	{"answer",
		TAKES_RELAY | TAKES_KEY | TAKES_CALL | TAKES_ANSWER | TAKES_ASKING | TAKES_NETWORK,
		0, 0, "", relaycall_answer},
	{"listen", TAKES_RELAY | TAKES_KEY | TAKES_LISTEN | TAKES_ASKING | TAKES_NETWORK, 0, 0, "",
		relaycall_listen},
	{"send", TAKES_SEND | TAKES_PATIENCE | TAKES_NETWORK, 1, 2,
		" CONTACT and --text LINE or FILE", relaycall_send},
	{"token", TAKES_KEY, 0, 4, "", relaycall_token},
};

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
		return relaycall_wrong_usage("send wants either --text LINE or a FILE", NULL);
	if (o->by_address && o->text == NULL)
		return relaycall_wrong_usage("only a line goes by address", NULL);
	return -1;
}

static int check_id(const struct relaycall_options *o)
{
	if (o->no_second_relay && (o->relays[1].address_count > 0 || o->relays[1].has_key))
		return relaycall_wrong_usage("a second relay and --no-second-relay", NULL);
	if (o->qr && o->json)
		return relaycall_wrong_usage(
			"--qr is for people, --json for programs: --qr-file FILE.svg", NULL);
	if (o->fingerprint && (o->qr || o->qr_file != NULL))
		return relaycall_wrong_usage("either --fingerprint or a QR code", NULL);
	return -1;
}

int main(int argc, char **argv)
{
	static struct relaycall_options options;
	unsigned given = 0;

	core_dump_forbid();
	if (sodium_init() < 0)
		return relaycall_fail(RELAYCALL_FAILED, "the system has no randomness");
	int code = relaycall_read_options(argc, argv, &options, &given);
	if (code >= 0)
		return finish(code);
	if (optind == argc)
		return relaycall_wrong_usage("no verb given", NULL);
	const struct verb *verb = find_verb(argv[optind]);
	int operands = argc - optind - 1;
	if (verb == NULL)
		return relaycall_wrong_usage("unknown verb", argv[optind]);
	if (given & ~verb->takes)
		return relaycall_wrong_usage("an option that this verb does not take", verb->name);
	if (operands > verb->most)
		return relaycall_wrong_usage("unexpected word", argv[optind + 1 + verb->most]);
	if (operands < verb->least) {
		fprintf(stderr, "relaycall: %s wants%s\nTry: relaycall --help\n", verb->name,
			verb->operands);
		return RELAYCALL_USAGE;
	}
	for (int i = 0; i < operands; i++)
		options.operand[i] = argv[optind + 1 + i];
	code = verb->run == relaycall_send ? check_send(&options, operands)
	       : verb->run == relaycall_id ? check_id(&options)
					   : call_options_check(&options);
	return code >= 0 ? code : finish(verb->run(&options));
}
