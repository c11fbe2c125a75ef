// SPDX-License-Identifier: BSD-3-Clause
// config check: reads a configuration as the daemons would. Needs no running relay.

#include "controlplane/relayctl/json.h"
#include "controlplane/relayctl/print.h"
#include "controlplane/relayctl/relayctl.h"
#include "lib/config/config.h"

#include <string.h>

static int report_json(const char *file, const struct config *config, const char *error)
{
	json_t *object = json_object();
	json_t *warnings = json_array();
	char text[CONFIG_WARNING_SIZE];

	json_object_set_new(object, "file", json_string(file));
	json_object_set_new(object, "ok", json_boolean(error == NULL));
	if (error != NULL)
		json_object_set_new(object, "error", json_string(error));
	for (unsigned i = 0; config != NULL && config_warning(config, i, text); i++)
		json_array_append_new(warnings, json_string(text));
	json_object_set_new(object, "warnings", warnings);
	return relayctl_json_print(object, 1, stdout) < 0 || error != NULL ? RELAYCTL_FAILED
									   : RELAYCTL_OK;
}

int relayctl_config_check(const struct relayctl_options *options)
{
	char error[CONFIG_ERROR_SIZE], warning[CONFIG_WARNING_SIZE], auth[RELAYCTL_TEXT_SIZE];
	struct config *config = NULL;
	int rc = config_load(options->operand, &config, error);

	if (options->json) {
		int code = report_json(options->operand, config, rc < 0 ? error : NULL);
		config_free(config);
		return code;
	}
	if (rc < 0) {
		relayctl_clean_text(error, sizeof(error));
		fprintf(stderr, "%s\n", error);
		return RELAYCTL_FAILED;
	}
	printf("%s: ok: %s, %u port%s, %u worker%s, %u address%s, auth %s\n", options->operand,
		config->node.name, config->dataplane.port_count,
		config->dataplane.port_count == 1 ? "" : "s", config->dataplane.workers,
		config->dataplane.workers == 1 ? "" : "s", config->address.listen_count,
		config->address.listen_count == 1 ? "" : "es",
		relayctl_text_auth(config->turn.auth, auth));
	for (unsigned i = 0; config_warning(config, i, warning); i++)
		printf("warning: %s\n", warning);
	config_free(config);
	return RELAYCTL_OK;
}
