/*
 * Reads the words behind noun and verb as a command's usage allows them, for daemon and wirectl alike: what one
 * accepts the other accepts, and both refuse with the same sentence.
 *
 * A usage is what help prints: "FILE" a word that must be there, "[GROUP]" one that may, "WORD..." one or more,
 * "[--flag]" and "[--a|--b]" flags, "[--flag VALUE]" a flag with a value, "--flag VALUE" one that must be there. The word of FILE, always the first, is a path that
 * wirectl reads: the daemon gets the content, as "text" of the request.
 *
 * No state, no allocation: results point into the words.
 */
#ifndef WIRECACHE_CONTROL_USAGE_H
#define WIRECACHE_CONTROL_USAGE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define USAGE_PLAIN_MAX 8u
#define USAGE_FLAGS_MAX 8u
#define USAGE_TOKEN_MAX 48u
#define USAGE_ERROR_MAX 256u

struct usage_flag {
	const char *name;
	const char *value; /* "" when the flag takes none */
};

struct usage_words {
	const char *plain[USAGE_PLAIN_MAX];
	unsigned plain_len;
	struct usage_flag flags[USAGE_FLAGS_MAX];
	unsigned flags_len;
};

/* One token of a usage, without brackets and dots. */
struct usage_token {
	char text[USAGE_TOKEN_MAX];
	bool optional, repeated;
	bool is_flag;
	bool takes_value; /* of a flag: the next token is its value, and is skipped */
};

/* Takes the next token; false at the end. */
static inline bool
usage_next(const char **usage, struct usage_token *token)
{
	*usage += strspn(*usage, " ");
	size_t len = strcspn(*usage, " ");
	if (len == 0)
		return false;
	const char *begin = *usage;
	*usage += len;
	*token = (struct usage_token){.optional = *begin == '['};
	begin += token->optional;
	len -= token->optional;
	bool closed = len > 0 && begin[len - 1] == ']';
	len -= closed;
	token->is_flag = *begin == '-';
	token->takes_value = token->is_flag && !closed;
	if (token->takes_value) {
		*usage += strspn(*usage, " ");
		*usage += strcspn(*usage, " ");
	}
	token->repeated = len > 3 && strncmp(begin + len - 3, "...", 3) == 0;
	snprintf(token->text, sizeof(token->text), "%.*s", (int)(len - (token->repeated ? 3 : 0)), begin);
	return true;
}

/* Does "--a|--b" name this flag? */
static inline bool
usage_token_is(const struct usage_token *token, const char *flag)
{
	const char *at = token->text;
	while (*at != '\0') {
		size_t len = strcspn(at, "|");
		if (strlen(flag) == len && strncmp(at, flag, len) == 0)
			return true;
		at += len + (at[len] == '|');
	}
	return false;
}

/* The flag's value ("" if it takes none), or NULL if it was not given. */
static inline const char *
usage_flag(const struct usage_words *words, const char *name)
{
	for (unsigned i = 0; i < words->flags_len; i++)
		if (strcmp(words->flags[i].name, name) == 0)
			return words->flags[i].value;
	return NULL;
}

/* Is it a flag of this usage? *takes_value only if so. */
static inline bool
usage_has_flag(const char *usage, const char *flag, bool *takes_value)
{
	struct usage_token token;
	while (usage_next(&usage, &token))
		if (token.is_flag && usage_token_is(&token, flag)) {
			*takes_value = token.takes_value;
			return true;
		}
	return false;
}

/* Which of the plain words is FILE; -1: none. */
static inline int
usage_file_at(const char *usage)
{
	struct usage_token token;
	int at = 0;
	while (usage_next(&usage, &token)) {
		if (token.is_flag)
			continue;
		if (strcmp(token.text, "FILE") == 0)
			return at;
		at++;
	}
	return -1;
}

/* The flags that must be there. False: error names one that is missing. */
static inline bool
usage_flags_complete(const char *usage, const struct usage_words *out, char error[USAGE_ERROR_MAX])
{
	struct usage_token token;
	while (usage_next(&usage, &token)) {
		if (!token.is_flag || token.optional || usage_flag(out, token.text) != NULL)
			continue;
		snprintf(error, USAGE_ERROR_MAX, "%s is missing", token.text);
		return false;
	}
	return true;
}

static inline void
usage_bounds(const char *usage, unsigned *least, unsigned *most)
{
	struct usage_token token;
	*least = *most = 0;
	while (usage_next(&usage, &token)) {
		if (token.is_flag)
			continue;
		*least += !token.optional;
		*most = token.repeated ? USAGE_PLAIN_MAX : *most + 1;
	}
}

/* One word that begins with a dash; true if it was taken, with its value if it has one. */
static inline bool
usage_take_flag(const char *usage, const char *const words[], unsigned len, unsigned *at,
    struct usage_words *out, char error[USAGE_ERROR_MAX])
{
	const char *word = words[*at];
	bool takes_value;
	if (!usage_has_flag(usage, word, &takes_value)) {
		snprintf(error, USAGE_ERROR_MAX, "unknown word \"%.60s\"", word);
		return false;
	}
	if (out->flags_len == USAGE_FLAGS_MAX || (takes_value && *at + 1 == len)) {
		snprintf(error, USAGE_ERROR_MAX,
		    out->flags_len == USAGE_FLAGS_MAX ? "too many words" : "%s needs a value", word);
		return false;
	}
	struct usage_flag *flag = &out->flags[out->flags_len++];
	*flag = (struct usage_flag){.name = word, .value = takes_value ? words[++*at] : ""};
	return true;
}

/* False: they do not fit, and error says how. */
static inline bool
usage_parse(const char *usage, const char *const words[], unsigned len, struct usage_words *out,
    char error[USAGE_ERROR_MAX])
{
	unsigned least, most;
	memset(out, 0, sizeof(*out));
	usage_bounds(usage, &least, &most);
	for (unsigned at = 0; at < len; at++) {
		if (words[at][0] == '-' && words[at][1] != '\0') {
			if (!usage_take_flag(usage, words, len, &at, out, error))
				return false;
			continue;
		}
		if (out->plain_len == most) {
			snprintf(error, USAGE_ERROR_MAX, "too many words");
			return false;
		}
		out->plain[out->plain_len++] = words[at];
	}
	if (out->plain_len < least) {
		snprintf(error, USAGE_ERROR_MAX, "too few words");
		return false;
	}
	return usage_flags_complete(usage, out, error);
}

/* The plain word at that place, or NULL. */
static inline const char *
usage_word(const struct usage_words *words, unsigned at)
{
	return at < words->plain_len ? words->plain[at] : NULL;
}

#endif
