/*
 * Dispatch: noun and verb to a handler, arguments counted against the table.
 */
#include "control/commands.h"

#include <stdio.h>
#include <string.h>

#include "control/text.h"
#include "control/wire.h"

#define WORDS_MAX (USAGE_PLAIN_MAX + 2 * USAGE_FLAGS_MAX + 1) /* one more than any usage takes */

struct entry {
	const char *noun, *verb, *usage;
	json_t *(*handler)(struct commands *commands, struct commands_call *call);
};

static const struct entry entries[] = {
#define COMMAND(noun_, verb_, usage_, words_, handler_, view_, columns_, help_) \
	{noun_, verb_, usage_, handler_},
#define LOCAL_COMMAND(...)
#include "control/commands.def"
#undef COMMAND
#undef LOCAL_COMMAND
};
#define ENTRIES_LEN (sizeof(entries) / sizeof(entries[0]))

void
commands_init(struct commands *commands, struct config *config, const struct config_sources *sources,
    struct dataplane *dataplane)
{
	memset(commands, 0, sizeof(*commands));
	commands->config = config;
	commands->sources = *sources;
	commands->dataplane = dataplane;
	apply_init(&commands->apply, config, dataplane);
	drain_init(&commands->drain, config, dataplane);
}

void
commands_tick(struct commands *commands, uint64_t now_ms)
{
	struct dataplane_info info;
	dataplane_info(commands->dataplane, &info);
	sample_tick(&commands->window, commands->dataplane, &info, now_ms);
	observed_tick(&commands->observed, commands->dataplane, now_ms);
	commands->now_ms = now_ms;
	commands_capture_tick(commands);
	apply_tick(&commands->apply, now_ms);
	drain_tick(&commands->drain, now_ms);
	dataplane_tick(commands->dataplane);
}

static const char *
word_at(const json_t *words, size_t at)
{
	const char *word = json_string_value(json_array_get(words, at));
	return word != NULL ? word : "";
}

static const struct entry *
find_entry(const json_t *words)
{
	for (size_t i = 0; i < ENTRIES_LEN; i++) {
		const struct entry *entry = &entries[i];
		if (strcmp(entry->noun, word_at(words, 0)) != 0)
			continue;
		if (*entry->verb == '\0' || strcmp(entry->verb, word_at(words, 1)) == 0)
			return entry;
	}
	return NULL;
}

static json_t *
unknown_command(const json_t *words)
{
	char error[256];
	snprintf(error, sizeof(error), "unknown command \"%.60s%s%.60s\": wirectl help lists them",
	    word_at(words, 0), json_array_size(words) > 1 ? " " : "", word_at(words, 1));
	return wire_reply_error(error, WIRE_USAGE);
}

/* The words behind noun and verb, as the usage has them. For FILE stands the member "text", not a word. */
static bool
collect_words(const struct entry *entry, const json_t *words, struct commands_call *call)
{
	const char *given[WORDS_MAX];
	char error[USAGE_ERROR_MAX];
	size_t first = *entry->verb == '\0' ? 1 : 2;
	unsigned len = 0;
	bool takes_file = usage_file_at(entry->usage) == 0;
	bool has_text = json_is_string(json_object_get(call->request, "text"));
	if (takes_file && has_text)
		given[len++] = "FILE";
	for (size_t i = first; i < json_array_size(words) && len < WORDS_MAX; i++)
		given[len++] = word_at(words, i);
	if (!usage_parse(entry->usage, given, len, &call->words, error)) {
		snprintf(call->error, sizeof(call->error), "%s: usage: %s%s%s%s%s", error, entry->noun,
		    *entry->verb != '\0' ? " " : "", entry->verb, *entry->usage != '\0' ? " " : "",
		    entry->usage);
		return false;
	}
	if (takes_file && usage_word(&call->words, 0) != NULL && !has_text) {
		snprintf(call->error, sizeof(call->error), "the request lacks \"text\", the content of FILE");
		return false;
	}
	return true;
}

json_t *
commands_answer(void *commands_ctx, const json_t *request)
{
	const json_t *words = json_object_get(request, "command");
	if (!json_is_array(words) || json_array_size(words) == 0)
		return wire_reply_error("the request lacks \"command\", an array of words", WIRE_USAGE);
	for (size_t i = 0; i < json_array_size(words); i++)
		if (!json_is_string(json_array_get(words, i)))
			return wire_reply_error("\"command\" may hold words only", WIRE_USAGE);
	const struct entry *entry = find_entry(words);
	if (entry == NULL)
		return unknown_command(words);
	struct commands_call call = {.request = request, .exit_code = WIRE_OK};
	if (!collect_words(entry, words, &call))
		return wire_reply_error(call.error, WIRE_USAGE);
	json_t *result = entry->handler(commands_ctx, &call);
	if (result != NULL)
		return wire_reply_ok(result, (enum wire_exit)call.exit_code);
	return wire_reply_error(
	    call.error, call.exit_code != WIRE_OK ? (enum wire_exit)call.exit_code : WIRE_FAILED);
}
