// SPDX-License-Identifier: BSD-3-Clause
// The options of relaycall's command line.
#include "endpoint/relaycall/call_options.h"
#include "endpoint/relaycall/identity.h"
#include "endpoint/relaycall/qr.h"
#include "endpoint/relaycall/relaycall.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int relaycall_wrong_usage(const char *what, const char *detail)
{
	fprintf(stderr, "relaycall: %s%s%s\nTry: relaycall --help\n", what,
		detail != NULL ? ": " : "", detail != NULL ? detail : "");
	return RELAYCALL_USAGE;
}

bool relaycall_read_number(const char *text, uint64_t least, uint64_t most, uint64_t *out)
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
	OPTION_NO_SECOND_RELAY,
	OPTION_QR,
	OPTION_QR_FILE,
	OPTION_FINGERPRINT,
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
	{"no-second-relay", no_argument, NULL, OPTION_NO_SECOND_RELAY},
	{"qr", no_argument, NULL, OPTION_QR},
	{"qr-file", required_argument, NULL, OPTION_QR_FILE},
	{"fingerprint", no_argument, NULL, OPTION_FINGERPRINT},
	{"tokens", required_argument, NULL, OPTION_TOKENS},
	{"dir", required_argument, NULL, OPTION_DIR},
	{"limit", required_argument, NULL, OPTION_LIMIT},
	{"ask", no_argument, NULL, OPTION_ASK},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"text", required_argument, NULL, OPTION_TEXT},
	{"by-address", no_argument, NULL, OPTION_BY_ADDRESS},
	{"timeout", required_argument, NULL, OPTION_TIMEOUT},
	{"epoch", required_argument, NULL, OPTION_EPOCH},
	CALL_OPTIONS,
	{"json", no_argument, NULL, 'j'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

// -1: fine.
static int read_relay(struct endpoint_contact_relay *relay)
{
	if (relay->address_count == ENDPOINT_CONTACT_ADDRESSES_MAX)
		return relaycall_wrong_usage("more addresses of a relay than four", optarg);
	if (endpoint_contact_address_parse(optarg, &relay->addresses[relay->address_count++]) != 0)
		return relaycall_wrong_usage(
			"--relay wants an address or a name, and perhaps a port", optarg);
	return -1;
}

static int read_relay_key(struct endpoint_contact_relay *relay)
{
	relay->has_key = identity_key_parse(optarg, relay->key);
	return relay->has_key
		       ? -1
		       : relaycall_wrong_usage("--relay-key wants 32 bytes in base64", optarg);
}

// Of id. -1: fine.
static int read_id_option(int c, struct relaycall_options *o, unsigned *given)
{
	*given |= TAKES_ID;
	switch (c) {
	case OPTION_SECOND_RELAY:
		return read_relay(&o->relays[1]);
	case OPTION_SECOND_RELAY_KEY:
		return read_relay_key(&o->relays[1]);
	case OPTION_NO_SECOND_RELAY:
		o->no_second_relay = true;
		return -1;
	case OPTION_QR:
		o->qr = true;
		return -1;
	case OPTION_QR_FILE:
		o->qr_file = optarg;
		return qr_format_of(optarg) != QR_NONE
			       ? -1
			       : relaycall_wrong_usage(
					 "--qr-file wants a name that ends with .svg or .pbm",
					 optarg);
	case OPTION_FINGERPRINT:
		o->fingerprint = true;
		return -1;
	default:
		return relaycall_wrong_usage("option not understood", NULL);
	}
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
		if (!relaycall_read_number(optarg, 0, UINT64_MAX, &o->limit))
			return relaycall_wrong_usage("--limit wants a number of bytes", optarg);
		o->has_limit = true;
		*given |= TAKES_LISTEN;
		return -1;
	case OPTION_ASK:
		o->ask = true;
		*given |= TAKES_ASKING;
		return -1;
	case OPTION_ONCE:
		o->once = true;
		*given |= TAKES_ASKING;
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
		if (!relaycall_read_number(optarg, 1, 86400, &number))
			return relaycall_wrong_usage(
				"--timeout wants seconds from 1 to 86400", optarg);
		o->timeout_s = (unsigned)number;
		*given |= TAKES_PATIENCE;
		return -1;
	default:
		return read_id_option(c, o, given);
	}
}

int relaycall_read_options(int argc, char **argv, struct relaycall_options *o, unsigned *given)
{
	uint64_t number;
	int code;

	for (int c; (c = getopt_long(argc, argv, "jhv", long_options, NULL)) != -1;)
		switch (c) {
		case 'j':
			o->json = true;
			break;
		case 'v':
			*given |= TAKES_CALL;
			o->verbose = true;
			break;
		case 'h':
			fputs(relaycall_usage, stdout);
			return RELAYCALL_OK;
		case OPTION_VERSION:
			puts("relaycall " VERSION);
			return RELAYCALL_OK;
		case OPTION_IDENTITY:
			o->identity = optarg;
			break;
		case OPTION_RELAY:
			*given |= TAKES_RELAY;
			code = read_relay(&o->relays[0]);
			if (code >= 0)
				return code;
			break;
		case OPTION_RELAY_KEY:
			*given |= TAKES_KEY;
			code = read_relay_key(&o->relays[0]);
			if (code >= 0)
				return code;
			break;
		case OPTION_TOKENS:
			*given |= TAKES_NETWORK;
			o->tokens = optarg;
			break;
		case OPTION_EPOCH:
			*given |= TAKES_NETWORK;
			if (!relaycall_read_number(optarg, 2, UINT32_MAX, &number))
				return relaycall_wrong_usage(
					"--epoch wants seconds, at least 2", optarg);
			o->epoch_seconds = (unsigned)number;
			break;
		default:
			code = c >= CALL_OPTION_IN && c < CALL_OPTION_END
				       ? call_option_read(c, optarg, o, given)
				       : read_verb_option(c, o, given);
			if (code >= 0)
				return code;
			break;
		}
	return -1;
}
