// SPDX-License-Identifier: BSD-3-Clause
// token: the issuer's keys, their rotation, and issuing from blinded requests.

#include "controlplane/relayctl/client.h"
#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"
#include "controlplane/relayctl/table.h"

#include "lib/wire/token.h"
#include "lib/wire/token_text.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT(n) relayctl_text_count((n), (char[RELAYCTL_TEXT_SIZE]){0})

enum {
	VARIANT = sodium_base64_VARIANT_URLSAFE_NO_PADDING,
	BASE64_SIZE = 96, // of 64 bytes
};

static const char *state_name(uint32_t state)
{
	switch (state) {
	case ADMIN_TOKEN_ISSUING:
		return "issuing";
	case ADMIN_TOKEN_ACCEPTING:
		return "accepting";
	case ADMIN_TOKEN_RETIRED:
		return "retired";
	default:
		return "unknown";
	}
}

static const char *base64(const void *bytes, size_t size, char text[static BASE64_SIZE])
{
	return sodium_bin2base64(text, BASE64_SIZE, bytes, size, VARIANT);
}

#define BASE64(bytes) base64((bytes), sizeof(bytes), (char[BASE64_SIZE]){0})

static const char *date(uint64_t seconds, char text[static RELAYCTL_TEXT_SIZE])
{
	time_t when = (time_t)seconds;
	struct tm parts;

	if (gmtime_r(&when, &parts) == NULL ||
		strftime(text, RELAYCTL_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
		snprintf(text, RELAYCTL_TEXT_SIZE, "%" PRIu64, seconds);
	return text;
}

static int explain(const struct relayctl_options *options, int error)
{
	switch (error) {
	case -EOPNOTSUPP:
		fputs("relayctl: token: the relay uses none: set [registration] admission = token, "
		      "[turn] auth = token or [tokens] issue = yes, and restart "
		      "relay-controlplane\n",
			stderr);
		break;
	case -EBUSY:
		fputs("relayctl: token: another change or too many requests are under way: try "
		      "again\n",
			stderr);
		break;
	case -ENOENT:
		fprintf(stderr,
			"relayctl: token rotate: there is no key %s: relayctl token keys shows "
			"them\n",
			options->retire);
		break;
	case -EINVAL:
		fprintf(stderr,
			"relayctl: token rotate: key %s is the issuing one, or retired already; "
			"relayctl token rotate makes a new one first\n",
			options->retire);
		break;
	case -EBADMSG:
		fputs("relayctl: token issue: a line of the request is no blinded token: it was "
		      "damaged, or made by something else\n",
			stderr);
		break;
	case -ENOSPC:
		fputs("relayctl: token: the disk under [node] state is full: make room\n", stderr);
		break;
	case -EIO:
		fputs("relayctl: token: the store cannot be written: relayctl status tells more\n",
			stderr);
		break;
	default:
		return relayctl_client_explain(options->socket, "token", error);
	}
	return RELAYCTL_FAILED;
}

static int finish_json(json_t *value)
{
	return relayctl_json_print(value, 1, stdout) < 0 ? RELAYCTL_FAILED : RELAYCTL_OK;
}

// ---- keys ----

static json_t *json_of_key(const struct admin_token_key *key)
{
	char id[9], when[RELAYCTL_TEXT_SIZE];

	snprintf(id, sizeof(id), "%08" PRIx32, key->id);
	return json_pack("{s:s,s:s,s:s,s:I,s:I,s:s}", "key", id, "state", state_name(key->state),
		"created", date(key->created_s, when), "issued", (json_int_t)key->issued, "spent",
		(json_int_t)key->spent, "public", BASE64(key->public_key));
}

static int show_keys(const struct relayctl_options *options, const struct relayctl_list *list)
{
	const struct admin_token_key *keys = list->items;

	if (options->json) {
		json_t *array = json_array();
		for (size_t i = 0; i < list->count; i++)
			json_array_append_new(array, json_of_key(&keys[i]));
		return finish_json(array);
	}
	struct relayctl_table *table =
		relayctl_table_create("lllrr", "KEY|STATE|CREATED|ISSUED|SPENT");
	for (size_t i = 0; i < list->count; i++) {
		char when[RELAYCTL_TEXT_SIZE];
		relayctl_table_cell(table, "%08" PRIx32, keys[i].id);
		relayctl_table_cell(table, "%s", state_name(keys[i].state));
		relayctl_table_cell(table, "%s", date(keys[i].created_s, when));
		relayctl_table_cell(table, "%s", COUNT(keys[i].issued));
		// What a retired one has spent is forgotten.
		relayctl_table_cell(table, "%s",
			keys[i].state == ADMIN_TOKEN_RETIRED ? "-" : COUNT(keys[i].spent));
	}
	relayctl_table_print(table, stdout);
	return RELAYCTL_OK;
}

// What clients pin, in the words of an answer file.
static int show_public(const struct relayctl_options *options, const struct relayctl_list *list)
{
	const struct admin_token_key *keys = list->items;

	for (size_t i = 0; i < list->count; i++) {
		if (keys[i].state != ADMIN_TOKEN_ISSUING)
			continue;
		char id[9];
		snprintf(id, sizeof(id), "%08" PRIx32, keys[i].id);
		if (options->json)
			return finish_json(json_pack(
				"{s:s,s:s}", "key", id, "public", BASE64(keys[i].public_key)));
		printf("key %s\npublic %s\n", id, BASE64(keys[i].public_key));
		return RELAYCTL_OK;
	}
	fputs("relayctl: token public: there is no issuing key\n", stderr);
	return RELAYCTL_FAILED;
}

static int list_keys(const struct relayctl_options *options, struct relayctl_client *client)
{
	struct relayctl_list list = {0};
	int rc = relayctl_client_list(
		client, ADMIN_TOKEN_KEYS, sizeof(struct admin_token_key), &list);

	if (rc < 0)
		return explain(options, rc);
	rc = strcmp(options->action, "keys") == 0 ? show_keys(options, &list)
						  : show_public(options, &list);
	free(list.items);
	return rc;
}

// ---- rotation ----

static int retire(const struct relayctl_options *options, struct relayctl_client *client)
{
	struct admin_token_retire request = {.id = (uint32_t)strtoul(options->retire, NULL, 16)};
	int rc =
		relayctl_client_ask(client, ADMIN_TOKEN_RETIRE, &request, sizeof(request), NULL, 0);

	if (rc < 0)
		return explain(options, rc);
	if (options->json)
		return finish_json(json_pack("{s:s}", "retired", options->retire));
	printf("key %s is retired: its tokens that were not spent buy nothing any more\n",
		options->retire);
	return RELAYCTL_OK;
}

static int rotate(const struct relayctl_options *options, struct relayctl_client *client)
{
	struct admin_token_key key;

	if (options->retire != NULL)
		return retire(options, client);
	int rc = relayctl_client_ask(client, ADMIN_TOKEN_ROTATE, NULL, 0, &key, sizeof(key));
	if (rc < 0)
		return explain(options, rc);
	if (options->json)
		return finish_json(json_of_key(&key));
	printf("key %08" PRIx32 " issues from now on; the one before it accepts until the next "
	       "rotation\n",
		key.id);
	return RELAYCTL_OK;
}

// ---- issuing ----

// The whole of FILE, or of standard input. Its size, or -1 after telling why.
static ssize_t read_request(const char *file, char text[static TOKEN_TEXT_MAX + 1])
{
	FILE *in = file != NULL ? fopen(file, "re") : stdin;
	const char *name = file != NULL ? file : "standard input";

	if (in == NULL) {
		fprintf(stderr, "relayctl: token issue: %s: %s\n", file, strerror(errno));
		return -1;
	}
	size_t size = fread(text, 1, TOKEN_TEXT_MAX + 1, in);
	bool failed = ferror(in) != 0;
	if (failed)
		fprintf(stderr, "relayctl: token issue: %s cannot be read: %s\n", name,
			strerror(errno));
	else if (size > TOKEN_TEXT_MAX)
		fprintf(stderr, "relayctl: token issue: %s is larger than any request\n", name);
	if (file != NULL)
		fclose(in);
	return failed || size > TOKEN_TEXT_MAX ? -1 : (ssize_t)size;
}

static bool parse(const char *file, struct admin_token_request *out)
{
	static char text[TOKEN_TEXT_MAX + 1];
	struct token_request request;
	unsigned line;
	ssize_t size = read_request(file, text);

	if (size < 0)
		return false;
	int rc = token_request_parse(text, (size_t)size, &request, &line);
	if (rc < 0) {
		fprintf(stderr, "relayctl: token issue: %s, line %u: %s\n",
			file != NULL ? file : "standard input", line,
			rc == -EPROTONOSUPPORT
				? "a request of another version; expected version 1"
				: "no token request; expected \"blindrelay-token-request 1\" and "
				  "1 to 64 lines of base64");
		return false;
	}
	*out = (struct admin_token_request){.count = request.count};
	for (unsigned i = 0; i < request.count; i++)
		memcpy(out->blinded[i], request.blinded[i].bytes, sizeof(out->blinded[i]));
	return true;
}

static int print_answer(
	const struct relayctl_options *options, const struct admin_token_answer *item)
{
	static char text[TOKEN_TEXT_MAX];
	struct token_answer answer = {.key_id = item->key_id, .count = item->count};

	if (options->json) {
		char id[9];
		json_t *evaluated = json_array();
		snprintf(id, sizeof(id), "%08" PRIx32, item->key_id);
		for (unsigned i = 0; i < item->count; i++)
			json_array_append_new(evaluated, json_string(BASE64(item->evaluated[i])));
		return finish_json(json_pack("{s:s,s:s,s:s,s:o}", "key", id, "public",
			BASE64(item->public_key), "proof", BASE64(item->proof), "evaluated",
			evaluated));
	}
	memcpy(answer.public_key, item->public_key, sizeof(answer.public_key));
	memcpy(answer.proof, item->proof, sizeof(answer.proof));
	for (unsigned i = 0; i < item->count; i++)
		memcpy(answer.evaluated[i].bytes, item->evaluated[i], VOPRF_ELEMENT_SIZE);
	token_answer_build(text, sizeof(text), &answer);
	fputs(text, stdout);
	return RELAYCTL_OK;
}

static int issue(const struct relayctl_options *options, struct relayctl_client *client,
	const struct admin_token_request *request)
{
	struct admin_token_answer answer;
	int rc = relayctl_client_ask(
		client, ADMIN_TOKEN_ISSUE, request, sizeof(*request), &answer, sizeof(answer));

	if (rc == 0 && (answer.count != request->count || answer.count > ADMIN_TOKEN_BATCH_MAX))
		rc = -EPROTO;
	return rc < 0 ? explain(options, rc) : print_answer(options, &answer);
}

int relayctl_token(const struct relayctl_options *options)
{
	struct admin_token_request request;
	struct relayctl_client *client;
	bool issues = strcmp(options->action, "issue") == 0;

	if (issues && !parse(options->operand, &request))
		return RELAYCTL_FAILED;
	int rc = relayctl_client_open(options->socket, &client);
	if (rc < 0)
		return relayctl_client_explain(options->socket, NULL, rc);
	if (issues)
		rc = issue(options, client, &request);
	else if (strcmp(options->action, "rotate") == 0)
		rc = rotate(options, client);
	else
		rc = list_keys(options, client);
	relayctl_client_close(client);
	return rc;
}
