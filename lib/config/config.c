// SPDX-License-Identifier: BSD-3-Clause
// Loading and freeing of the configuration: file -> text -> sections -> checks. The text of the
// file and everything copied from it is wiped before its memory is given back.

#include "lib/config/config.h"
#include "lib/config/parser.h"

#include <sodium.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_defaults(struct config *config)
{
	strcpy(config->node.name, "relay");
	strcpy(config->node.state, "/var/lib/blindrelay");
	strcpy(config->node.run, "/run/blindrelay");
	config->dataplane.workers = 1;
	config->dataplane.hugepages = CONFIG_HUGEPAGES_AUTO;
	config->dataplane.memory = 512;
	config->dataplane.mappings = 65536;
	config->dataplane.idle = CONFIG_IDLE_POLL;
	config->address.port = 3478;
	config->address.alternate_port = 3479;
	config->address.relay_first = 49152;
	config->address.relay_last = 65535;
	config->turn.channel_last = 0x4FFF;
	config->turn.max_lifetime = 3600;
	config->turn.quota = 64;
	config->turn.prefix_quota = 256;
	config->guard.reply_bytes = 256 * 1024;
	config->guard.punts = 2000;
	config->guard.punts_with_allocation = 20000;
	config->guard.punts_total = 50000;
	config->guard.new_allocations = 20000;
	config->registration.enabled = true;
	config->registration.lease = 600;
	config->registration.keepalive = 20;
	config->registration.epoch = 3600;
	config->registration.leases = 65536;
	config->registration.handles = 65536;
	config->registration.sender_bytes = 1024 * 1024;
	config->registration.address_bytes = 4 * 1024 * 1024;
	config->registration.new_leases = 20000;
	config->registration.puzzle_above = 5000;
	config->tokens.spent = 4 * 1024 * 1024;
}

static int parse_text(const char *text, size_t length, const char *name, struct config **out,
	char error[static CONFIG_ERROR_SIZE])
{
	struct config_parser parser = {.file = name, .error = error};

	error[0] = 0;
	parser.config = calloc(1, sizeof(*parser.config));
	if (parser.config == NULL) {
		snprintf(error, CONFIG_ERROR_SIZE, "%s: out of memory", name);
		return -ENOMEM;
	}
	set_defaults(parser.config);
	config_read_text(&parser, text, length);
	if (parser.failure == 0)
		config_check(&parser);
	if (parser.config->dataplane.allocations == 0)
		parser.config->dataplane.allocations = (parser.config->dataplane.mappings + 3) / 4;
	if (parser.failure != 0) {
		config_free(parser.config);
		return parser.failure;
	}
	*out = parser.config;
	return 0;
}

int config_parse(const char *text, const char *name, struct config **out,
	char error[static CONFIG_ERROR_SIZE])
{
	return parse_text(text, strlen(text), name, out, error);
}

// read(2) and one buffer of our own: stdio would keep copies of the secrets in its buffers.
static ssize_t read_whole(int fd, char *buffer, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t n = read(fd, buffer + length, size - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	return (ssize_t)length;
}

static int check_mode(const struct stat *st, const struct config *config, const char *file,
	char error[static CONFIG_ERROR_SIZE])
{
	bool secret = config->turn.secret_count > 0 || config->turn.user_count > 0;

	if (!S_ISREG(st->st_mode))
		return 0;
	if (st->st_mode & S_IWOTH) {
		snprintf(error, CONFIG_ERROR_SIZE,
			"%s: everybody may write it; expected mode 0640 or stricter: chmod o= %s",
			file, file);
		return -EACCES;
	}
	if (secret && (st->st_mode & S_IROTH)) {
		snprintf(error, CONFIG_ERROR_SIZE,
			"%s: holds a secret and everybody may read it; expected mode 0640 or "
			"stricter: chmod o= %s",
			file, file);
		return -EACCES;
	}
	return 0;
}

int config_load(const char *file, struct config **out, char error[static CONFIG_ERROR_SIZE])
{
	enum { BUFFER = CONFIG_FILE_MAX + 1 };
	struct config *config = NULL;
	struct stat st;
	int rc;

	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		rc = -errno;
		snprintf(error, CONFIG_ERROR_SIZE,
			"%s: cannot open: %s; expected a readable configuration file", file,
			strerror(-rc));
		return rc;
	}
	char *text = malloc(BUFFER);
	if (text == NULL) {
		rc = -ENOMEM;
		snprintf(error, CONFIG_ERROR_SIZE, "%s: out of memory", file);
		goto close_file;
	}
	ssize_t length = fstat(fd, &st) < 0 ? -errno : read_whole(fd, text, BUFFER);
	if (length < 0) {
		rc = (int)length;
		snprintf(error, CONFIG_ERROR_SIZE,
			"%s: cannot read: %s; expected a readable configuration file", file,
			strerror(-rc));
		goto wipe_text;
	}
	if (length > CONFIG_FILE_MAX) {
		rc = -EFBIG;
		snprintf(error, CONFIG_ERROR_SIZE, "%s: too large; expected at most %d bytes", file,
			CONFIG_FILE_MAX);
		goto wipe_text;
	}
	rc = parse_text(text, (size_t)length, file, &config, error);
	if (rc == 0)
		rc = check_mode(&st, config, file, error);
	if (rc == 0)
		*out = config;
	else
		config_free(config);
wipe_text:
	sodium_memzero(text, BUFFER);
	free(text);
close_file:
	close(fd);
	return rc;
}

void config_free(struct config *config)
{
	if (config == NULL)
		return;
	if (config->turn.users != NULL) {
		sodium_memzero(config->turn.users, CONFIG_USERS_MAX * sizeof(*config->turn.users));
		free(config->turn.users);
	}
	sodium_memzero(config, sizeof(*config));
	free(config);
}
