/*
 * See catalog.h. Help and completion print the table as it stands, so that neither can be forgotten.
 */
#include "control/ctl/catalog.h"

#include <string.h>

#include "control/ctl/local.h"
#include "control/usage.h"
#include "control/wire.h"

enum { HUMAN, EXACT };

static const struct catalog_command commands[] = {
#define COMMAND(noun_, verb_, usage_, words_, handler_, view_, columns_, help_) \
	{.noun = noun_,                                                         \
	    .verb = verb_,                                                      \
	    .usage = usage_,                                                    \
	    .words = words_,                                                    \
	    .exact = (view_) == EXACT,                                          \
	    .columns = columns_,                                                \
	    .help = help_},
#define LOCAL_COMMAND(noun_, verb_, usage_, words_, handler_, help_) \
	{.noun = noun_,                                              \
	    .verb = verb_,                                           \
	    .usage = usage_,                                         \
	    .words = words_,                                         \
	    .local = handler_,                                       \
	    .columns = "",                                           \
	    .help = help_},
#include "control/commands.def"
#undef COMMAND
#undef LOCAL_COMMAND
};
#define COMMANDS_LEN (sizeof(commands) / sizeof(commands[0]))

const struct catalog_command *
catalog_find(const char *const words[], unsigned words_len)
{
	for (size_t i = 0; words_len > 0 && i < COMMANDS_LEN; i++) {
		const struct catalog_command *command = &commands[i];
		if (strcmp(command->noun, words[0]) != 0)
			continue;
		if (*command->verb == '\0' || (words_len > 1 && strcmp(command->verb, words[1]) == 0) ||
		    (words_len == 1 && strcmp(command->verb, "show") == 0))
			return command;
	}
	return NULL;
}

void
catalog_each(void (*visit)(void *ctx, const struct catalog_command *command), void *ctx)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++)
		visit(ctx, &commands[i]);
}

bool
catalog_noun_exists(const char *noun)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++)
		if (strcmp(commands[i].noun, noun) == 0)
			return true;
	return false;
}

unsigned
catalog_taken(const struct catalog_command *command, unsigned words_len)
{
	return *command->verb != '\0' && words_len > 1 ? 2 : 1;
}

static int
print_synopsis(FILE *out, const struct catalog_command *command)
{
	return fprintf(out, "%s%s%s%s%s", command->noun, *command->verb != '\0' ? " " : "", command->verb,
	    *command->usage != '\0' ? " " : "", command->usage);
}

void
catalog_usage(FILE *out, const struct catalog_command *command)
{
	fputs("wirectl ", out);
	print_synopsis(out, command);
}

/* Wraps help behind the synopsis: 80 columns. */
static void
print_command(FILE *out, const struct catalog_command *command)
{
	enum { INDENT = 29, COLUMNS = 79 };
	fputs("  ", out);
	int column = 2 + print_synopsis(out, command);
	const char *text = command->help;
	fprintf(out, "%*s", column < INDENT - 1 ? INDENT - column : 2, "");
	column = column < INDENT - 1 ? INDENT : column + 2;
	while (*text != '\0') {
		int len = (int)strcspn(text, " ");
		if (column + len > COLUMNS) {
			fprintf(out, "\n%*s", INDENT, "");
			column = INDENT;
		}
		fprintf(out, "%.*s", len, text);
		column += len;
		text += len;
		if (*text == ' ') {
			text++;
			if (column + 1 + (int)strcspn(text, " ") <= COLUMNS) {
				fputc(' ', out);
				column++;
			} else {
				column = COLUMNS;
			}
		}
	}
	fputc('\n', out);
}

static void
print_flags(FILE *out)
{
	fputs("Usage: wirectl [FLAG...] NOUN [VERB] [ARGUMENT]\n\n"
	      "Flags:\n"
	      "  -j, --json        JSON with raw numbers instead of text\n"
	      "  -s, --socket PATH control socket (default " WIRE_SOCKET_DEFAULT ",\n"
	      "                    or $" WIRE_SOCKET_ENV ")\n"
	      "  -T, --timeout S   give up after S seconds (default 5)\n"
	      "  -w, --watch S     repeat every S seconds\n"
	      "      --no-color    no color; so does NO_COLOR in the environment\n"
	      "  -h, --help        this text\n"
	      "  -V, --version     wirectl's version\n\n"
	      "Commands:\n",
	    out);
}

bool
catalog_help(FILE *out, const char *noun)
{
	bool found = false;
	if (noun == NULL)
		print_flags(out);
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		if (noun != NULL && strcmp(commands[i].noun, noun) != 0)
			continue;
		print_command(out, &commands[i]);
		found = true;
	}
	if (noun == NULL)
		fputs("\nExit status: 0 ok, 1 failed, 2 usage, 3 daemon unreachable, 4 not healthy,\n"
		      "5 needs a restart.\n",
		    out);
	return found;
}

static bool
noun_seen_before(size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcmp(commands[i].noun, commands[at].noun) == 0)
			return true;
	return false;
}

static void
print_nouns(FILE *out)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++)
		if (!noun_seen_before(i))
			fprintf(out, "%s%s", i > 0 ? " " : "", commands[i].noun);
}

static void
print_verb_cases(FILE *out)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		if (noun_seen_before(i) || *commands[i].verb == '\0')
			continue;
		fprintf(out, "\t\"%s \") words=\"", commands[i].noun);
		const char *separator = "";
		for (size_t j = i; j < COMMANDS_LEN; j++)
			if (strcmp(commands[j].noun, commands[i].noun) == 0) {
				fprintf(out, "%s%s", separator, commands[j].verb);
				separator = " ";
			}
		fputs("\" ;;\n", out);
	}
}

/* The words of the table ("@nouns": all nouns), and the flags of the usage. */
static void
print_offers(FILE *out, const struct catalog_command *command)
{
	const char *usage = command->usage;
	struct usage_token token;
	if (strcmp(command->words, "@nouns") == 0)
		print_nouns(out);
	else
		fputs(command->words, out);
	while (usage_next(&usage, &token))
		for (char *flag = token.is_flag ? token.text : NULL, *next; flag != NULL; flag = next) {
			next = strchr(flag, '|');
			if (next != NULL)
				*next++ = '\0';
			fprintf(out, " %s", flag);
		}
}

static void
print_argument_cases(FILE *out)
{
	for (size_t i = 0; i < COMMANDS_LEN; i++) {
		const struct catalog_command *command = &commands[i];
		if (*command->usage == '\0')
			continue;
		fprintf(out, "\t\"%s%s%s \"*) words=\"", command->noun, *command->verb != '\0' ? " " : "",
		    command->verb);
		print_offers(out, command);
		fputs("\"", out);
		if (usage_file_at(command->usage) >= 0)
			fputs("; COMPREPLY=($(compgen -f -- \"$current\"))", out);
		fputs(" ;;\n", out);
	}
}

void
catalog_completion_bash(FILE *out)
{
	fputs("# bash completion of wirectl; load it with: source <(wirectl completion bash)\n"
	      "_wirectl() {\n"
	      "\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} said=\"\" "
	      "words=\"\" i\n"
	      "\tCOMPREPLY=()\n"
	      "\tcase $previous in\n"
	      "\t-s|--socket) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n"
	      "\t-T|--timeout|-w|--watch) return ;;\n"
	      "\tesac\n"
	      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	      "\t\tcase ${COMP_WORDS[i]} in\n"
	      "\t\t-s|--socket|-T|--timeout|-w|--watch) ((i++)) ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) said+=\"${COMP_WORDS[i]} \" ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase $said in\n"
	      "\t\"\") words=\"",
	    out);
	print_nouns(out);
	fputs(" --json --socket --timeout --watch --no-color --help --version\" ;;\n", out);
	print_verb_cases(out);
	print_argument_cases(out);
	fputs("\tesac\n"
	      "\tCOMPREPLY+=($(compgen -W \"$words\" -- \"$current\"))\n"
	      "}\n"
	      "complete -F _wirectl wirectl\n",
	    out);
}
