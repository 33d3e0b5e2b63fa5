/*
 * The INI file. libinih splits sections, keys and values; what it does not tell is found here, in the reader
 * that hands it one line after the other: the line's number (Debian's build passes none to the handler),
 * lines that it would cut in two, and lines that it could not read. Such a line is reported and replaced by
 * an empty one.
 *
 * Blanks before a key are removed, so that libinih never takes an indented key for more of the value above.
 */
#include "control/config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>

struct reader {
	struct config *config;
	struct config_origin origin; /* line: of the line handed out last */
	const char *at, *end;
	unsigned key_column, value_column; /* in that line */
	struct config_origin section;      /* where the section began */
	char unknown_section[64];          /* reported already; its keys are not */
};

static void
hand_out_nothing(char *line)
{
	strcpy(line, "\n");
}

/* What libinih would call an error without saying what is wrong. */
static bool
line_is_readable(struct reader *reader, const char *line)
{
	if (*line == '\0' || *line == '\n' || *line == '\r' ||
	    strchr(ini_start_comment_prefixes, *line) != NULL)
		return true;
	if (*line == '[') {
		if (strchr(line, ']') != NULL)
			return true;
		config_error(reader->config, &reader->origin, "expected ] at the end of the section's name");
		return false;
	}
	if (strpbrk(line, "=:") == NULL) {
		config_error(reader->config, &reader->origin, "expected \"name = value\", not \"%.*s\"",
		    (int)strcspn(line, "\r\n"), line);
		return false;
	}
	return true;
}

/* Where key and value begin, for messages; the first column is 1. */
static void
note_columns(struct reader *reader, const char *line, unsigned first)
{
	size_t key_len = strcspn(line, "=:\r\n");
	size_t value = key_len + (line[key_len] == '=' || line[key_len] == ':');
	value += strspn(line + value, " \t");
	reader->origin.column = reader->key_column = first;
	reader->value_column = first + (unsigned)value;
	if (*line == '[')
		reader->section = reader->origin;
}

/* ini_reader: fgets() on the text. */
static char *
read_line(char *line, int room, void *stream)
{
	struct reader *reader = stream;
	if (reader->at == reader->end)
		return NULL;
	const char *begin = reader->at;
	const char *newline = memchr(begin, '\n', (size_t)(reader->end - begin));
	const char *next = newline != NULL ? newline + 1 : reader->end;
	reader->at = next;
	reader->origin.line++;
	reader->origin.column = 1;
	if (reader->origin.line == 1 && next - begin >= 3 && memcmp(begin, "\xEF\xBB\xBF", 3) == 0)
		begin += 3;
	if (memchr(begin, '\0', (size_t)(next - begin)) != NULL) {
		config_error(reader->config, &reader->origin, "expected text, found a zero byte");
		hand_out_nothing(line);
		return line;
	}
	if (next - begin > (ptrdiff_t)CONFIG_LINE_MAX || next - begin >= room) {
		config_error(reader->config, &reader->origin,
		    "the line is %zu bytes long, more than the %u that fit", (size_t)(next - begin),
		    CONFIG_LINE_MAX);
		hand_out_nothing(line);
		return line;
	}
	const char *line_begin = begin;
	while (begin < next && (*begin == ' ' || *begin == '\t'))
		begin++;
	memcpy(line, begin, (size_t)(next - begin));
	line[next - begin] = '\0';
	note_columns(reader, line, (unsigned)(begin - line_begin) + 1);
	if (!line_is_readable(reader, line))
		hand_out_nothing(line);
	return line;
}

static void
report_unknown_section(struct reader *reader, const char *section)
{
	if (strcmp(reader->unknown_section, section) == 0)
		return;
	snprintf(reader->unknown_section, sizeof(reader->unknown_section), "%s", section);
	const char *meant = option_suggest_section(section);
	if (strcmp(section, "port") == 0)
		config_error(reader->config, &reader->section, "[port] needs a name, as in [port lan0]");
	else if (meant != NULL)
		config_error(reader->config, &reader->section, "unknown section [%s]: did you mean [%s%s]?",
		    section, meant, strcmp(meant, "port") == 0 ? " NAME" : "");
	else
		config_error(reader->config, &reader->section, "unknown section [%s]", section);
}

static void
report_unknown_key(struct reader *reader, const char *section, const char *written, const char *name)
{
	const char *meant = option_suggest_name(section, name);
	if (meant != NULL)
		config_error(reader->config, &reader->origin,
		    "unknown key \"%s\" in [%s]: did you mean \"%s\"?", name, written, meant);
	else
		config_error(reader->config, &reader->origin, "unknown key \"%s\" in [%s]", name, written);
}

/* ini_handler: one key. */
static int
handle_key(void *user, const char *section, const char *name, const char *value)
{
	struct reader *reader = user;
	struct config *config = reader->config;
	if (*section == '\0') {
		config_error(config, &reader->origin,
		    "\"%s\" stands before any section: put [memory] or another above it", name);
		return 1;
	}
	bool of_port = strncmp(section, "port ", 5) == 0;
	if (!of_port && !option_section_exists(section)) {
		report_unknown_section(reader, section);
		return 1;
	}
	int port = 0;
	if (of_port) {
		const char *port_name = section + 5 + strspn(section + 5, " \t");
		port = config_port(config, port_name, &reader->section);
	}
	const struct option *option = option_find(of_port ? "port" : section, name);
	if (option == NULL)
		report_unknown_key(reader, of_port ? "port" : section, section, name);
	else if (port >= 0) {
		reader->origin.column = reader->value_column;
		config_set(config, option, (unsigned)port, value, &reader->origin);
		reader->origin.column = reader->key_column;
	}
	return 1;
}

void
config_parse_text(struct config *config, const char *name, const char *text, size_t text_bytes)
{
	struct reader reader = {
	    .config = config, .origin = {.source = CONFIG_FILE}, .at = text, .end = text + text_bytes};
	snprintf(reader.origin.place, sizeof(reader.origin.place), "%s", name);
	/* Debian's libinih takes these at run time; a line buffer on the stack would have a fixed 200
	 * bytes. */
	ini_use_stack = false;
	ini_max_line = (int)CONFIG_LINE_MAX + 3;
	ini_initial_alloc = ini_max_line;
	int result = ini_parse_stream(read_line, &reader, handle_key, &reader);
	if (result != 0 && config->errors == 0) {
		reader.origin.line = result > 0 ? (unsigned)result : 0;
		config_error(
		    config, &reader.origin, result > 0 ? "expected \"name = value\"" : "out of memory");
	}
}

bool
config_parse_file(struct config *config, const char *path, bool optional)
{
	static char text[CONFIG_FILE_MAX + 1]; /* control thread only, and only at start and on SIGHUP */
	struct config_origin origin = {.source = CONFIG_FILE};
	snprintf(origin.place, sizeof(origin.place), "%s", path);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		if (optional && errno == ENOENT)
			return false;
		config_error(config, &origin, "cannot be read: %s", strerror(errno));
		return true;
	}
	size_t bytes = 0;
	ssize_t got;
	while (bytes < sizeof(text) && (got = read(fd, text + bytes, sizeof(text) - bytes)) > 0)
		bytes += (size_t)got;
	if (got < 0)
		config_error(config, &origin, "cannot be read: %s", strerror(errno));
	else if (bytes > CONFIG_FILE_MAX)
		config_error(
		    config, &origin, "is larger than %u bytes: no configuration file is", CONFIG_FILE_MAX);
	else
		config_parse_text(config, path, text, bytes);
	close(fd);
	return true;
}

static int
is_included(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);
	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

void
config_parse_directory(struct config *config, const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[PATH_MAX], file[PATH_MAX + NAME_MAX + 2];
	struct dirent **entries;
	snprintf(
	    directory, sizeof(directory), "%.*sconf.d", slash != NULL ? (int)(slash - path) + 1 : 0, path);
	int len = scandir(directory, &entries, is_included, alphasort);
	for (int i = 0; i < len; i++) {
		snprintf(file, sizeof(file), "%s/%s", directory, entries[i]->d_name);
		config_parse_file(config, file, true);
		free(entries[i]);
	}
	if (len >= 0)
		free(entries);
}
