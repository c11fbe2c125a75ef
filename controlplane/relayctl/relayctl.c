// SPDX-License-Identifier: BSD-3-Clause
// relayctl: the admin command line. Reads options, finds the socket, runs one verb.

#include "controlplane/relayctl/relayctl.h"

#include "lib/config/config.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFIG_FILE "/etc/blindrelay/blindrelay.conf"

static const char usage_text[] =
	"usage: relayctl [-s SOCKET] [-j] VERB [OPTION...]\n"
	"\n"
	"  status                       state, addresses, allocations, traffic, warnings\n"
	"  stats [-a]                   counters per worker, stage and drop reason (-a: also "
	"zeros)\n"
	"  top [-d SECONDS] [-n COUNT]  rates, again and again\n"
	"  ports                        network ports\n"
	"  workers                      worker threads\n"
	"  drain [--deadline SECONDS] [--wait]\n"
	"                               refuse new allocations; end live ones at the deadline\n"
	"  undrain                      accept new allocations again\n"
	"  reload [--check]             take over a changed configuration file, and say what needs "
	"a\n"
	"                               restart; --check: only say\n"
	"  guard                        what was dropped and why, limits and rules in force\n"
	"  guard block|allow|remove PREFIX\n"
	"                               change the rule of a prefix of sources, until restart\n"
	"  token keys                   keys of tokens, how many were issued and spent\n"
	"  token public                 id and public key that issue now, for clients to pin\n"
	"  token issue [FILE]           answer a request for tokens (standard input)\n"
	"  token rotate                 a new key issues, the old one accepts until the next "
	"time\n"
	"  token rotate --retire KEY    take a key out of use at once\n"
	"  config check FILE            check a configuration; needs no running relay\n"
	"  version                      versions of relayctl and of the running daemons\n"
	"\n"
	"  -s, --socket SOCKET          admin socket; default: control.sock in the folder that\n"
	"                               [node] run of " CONFIG_FILE " names\n"
	"  -j, --json                   JSON instead of tables\n"
	"  -h, --help                   this text\n"
	"\n"
	"exit status: 0 done, 1 failed, 2 wrong usage, 3 control plane not reachable\n";

// Options that only some verbs take.
enum {
	TAKES_ALL = 1,
	TAKES_RATES = 2,
	TAKES_DRAIN = 4,
	TAKES_RELOAD = 8,
	TAKES_TOKEN = 16,
};

struct verb {
	const char *name;
	unsigned takes;
	int (*run)(const struct relayctl_options *options);
};

static const struct verb verbs[] = {
	{"status", 0, relayctl_status},
	{"stats", TAKES_ALL, relayctl_stats},
	{"top", TAKES_RATES, relayctl_top},
	{"ports", 0, relayctl_ports},
	{"workers", 0, relayctl_workers},
	{"drain", TAKES_DRAIN, relayctl_drain},
	{"undrain", 0, relayctl_undrain},
	{"reload", TAKES_RELOAD, relayctl_reload},
	{"guard", 0, relayctl_guard},
	{"token", TAKES_TOKEN, relayctl_token},
	{"config", 0, relayctl_config_check},
	{"version", 0, relayctl_version},
};

static int wrong_usage(const char *what, const char *detail)
{
	fprintf(stderr, "relayctl: %s%s%s\nTry: relayctl --help\n", what,
		detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return RELAYCTL_USAGE;
}

// Whole decimal number up to `most`.
static bool read_number(const char *text, unsigned long most, unsigned *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	unsigned long number = strtoul(text, &end, 10);
	if (errno != 0 || *end != 0 || number > most)
		return false;
	*out = (unsigned)number;
	return true;
}

static bool read_seconds(const char *text, double *out)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != 0 || !isfinite(seconds) || seconds < 0.1 || seconds > 86400)
		return false;
	*out = seconds;
	return true;
}

// The control plane of the configuration installed here. Who may not read that file, or has none,
// gets the built-in place.
static void find_socket(char path[static CONFIG_PATH_SIZE])
{
	char error[CONFIG_ERROR_SIZE];
	struct config *config = NULL;
	const char *run = "/run/blindrelay";

	if (config_load(CONFIG_FILE, &config, error) == 0)
		run = config->node.run;
	snprintf(path, CONFIG_PATH_SIZE, "%.*s/control.sock",
		CONFIG_PATH_SIZE - (int)sizeof("/control.sock"), run);
	config_free(config);
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

enum { OPTION_DEADLINE = 256, OPTION_WAIT, OPTION_CHECK, OPTION_RETIRE };

// Fills options and *given (TAKES_ bits). -1 to go on, else the exit code.
static int read_options(int argc, char **argv, struct relayctl_options *options, unsigned *given)
{
	static const struct option longs[] = {
		{"socket", required_argument, NULL, 's'},
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{"all", no_argument, NULL, 'a'},
		{"count", required_argument, NULL, 'n'},
		{"delay", required_argument, NULL, 'd'},
		{"deadline", required_argument, NULL, OPTION_DEADLINE},
		{"wait", no_argument, NULL, OPTION_WAIT},
		{"check", no_argument, NULL, OPTION_CHECK},
		{"retire", required_argument, NULL, OPTION_RETIRE},
		{0},
	};

	for (int c; (c = getopt_long(argc, argv, "s:jhan:d:", longs, NULL)) != -1;)
		switch (c) {
		case 's':
			options->socket = optarg;
			break;
		case 'j':
			options->json = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return RELAYCTL_OK;
		case 'a':
			options->all = true;
			*given |= TAKES_ALL;
			break;
		case 'n':
			if (!read_number(optarg, 1000000000, &options->count))
				return wrong_usage(
					"-n wants a whole number of rounds (0: without end)",
					optarg);
			options->has_count = true;
			*given |= TAKES_RATES;
			break;
		case 'd':
			if (!read_seconds(optarg, &options->delay_s))
				return wrong_usage("-d wants seconds from 0.1 to 86400", optarg);
			*given |= TAKES_RATES;
			break;
		case OPTION_DEADLINE:
			// In milliseconds it must stay below ADMIN_NO_DEADLINE.
			if (!read_number(optarg, 4000000, &options->deadline_s))
				return wrong_usage(
					"--deadline wants seconds from 0 (at once) to 4000000",
					optarg);
			options->has_deadline = true;
			*given |= TAKES_DRAIN;
			break;
		case OPTION_WAIT:
			options->wait = true;
			*given |= TAKES_DRAIN;
			break;
		case OPTION_CHECK:
			options->check = true;
			*given |= TAKES_RELOAD;
			break;
		case OPTION_RETIRE:
			if (strlen(optarg) != 8 || optarg[strspn(optarg, "0123456789abcdef")] != 0)
				return wrong_usage("--retire wants a key: 8 digits, as relayctl "
						   "token keys shows them",
					optarg);
			options->retire = optarg;
			*given |= TAKES_TOKEN;
			break;
		default:
			return wrong_usage("option not understood", NULL);
		}
	return -1;
}

// The answer must have reached stdout, or nothing was done.
static int finish(int code)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return code;
	fprintf(stderr, "relayctl: cannot write the answer: %s\n", strerror(errno));
	return RELAYCTL_FAILED;
}

static bool is_guard_action(const char *word)
{
	return strcmp(word, "block") == 0 || strcmp(word, "allow") == 0 ||
	       strcmp(word, "remove") == 0;
}

// The words behind "token".
static int read_token_words(unsigned count, char **words, struct relayctl_options *options)
{
	static const char *const actions[] = {"keys", "public", "issue", "rotate", NULL};
	const char *const *action = actions;

	while (*action != NULL && (count == 0 || strcmp(words[0], *action) != 0))
		action++;
	bool issues = *action != NULL && strcmp(*action, "issue") == 0;
	if (*action == NULL || count > (issues ? 2u : 1u))
		return wrong_usage(
			"expected: relayctl token keys, public, rotate, or issue [FILE]", NULL);
	if (options->retire != NULL && strcmp(*action, "rotate") != 0)
		return wrong_usage("--retire belongs to relayctl token rotate", NULL);
	options->action = words[0];
	options->operand = count == 2 ? words[1] : NULL;
	return RELAYCTL_OK;
}

int main(int argc, char **argv)
{
	struct relayctl_options options = {.delay_s = 1};
	char path[CONFIG_PATH_SIZE];
	unsigned given = 0;

	int code = read_options(argc, argv, &options, &given);
	if (code >= 0)
		return finish(code);
	if (optind == argc)
		return wrong_usage("no verb given", NULL);
	const struct verb *verb = find_verb(argv[optind]);
	unsigned operands = (unsigned)(argc - optind - 1);
	char **words = argv + optind + 1;
	if (verb == NULL)
		return wrong_usage("unknown verb", argv[optind]);
	if (given & ~verb->takes)
		return wrong_usage("an option that this verb does not take", verb->name);
	if (verb->run == relayctl_config_check) {
		if (operands != 2 || strcmp(words[0], "check") != 0)
			return wrong_usage("expected: relayctl config check FILE", NULL);
		options.operand = words[1];
	} else if (verb->run == relayctl_guard && operands != 0) {
		if (operands != 2 || !is_guard_action(words[0]))
			return wrong_usage(
				"expected: relayctl guard, or guard block|allow|remove PREFIX",
				NULL);
		options.action = words[0];
		options.operand = words[1];
	} else if (verb->run == relayctl_token) {
		code = read_token_words(operands, words, &options);
		if (code != RELAYCTL_OK)
			return code;
	} else if (operands != 0) {
		return wrong_usage("unexpected word", words[0]);
	}
	if (verb->run != relayctl_config_check && options.socket == NULL) {
		find_socket(path);
		options.socket = path;
	}
	return finish(verb->run(&options));
}
