/*
 * wireload's options: one field for each row of options.def, from the INI file and the flags, in the order given. Main
 * thread only; constant once the run begins.
 */
#ifndef WIRECACHE_LOAD_OPTIONS_H
#define WIRECACHE_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define OPTIONS_TEXT_ROOM 512u

/* The type of the field for each TYPE. */
#define LOAD_FIELD_TEXT(name)    char name[OPTIONS_TEXT_ROOM];
#define LOAD_FIELD_COUNT(name)   uint64_t name;
#define LOAD_FIELD_SIZE(name)    uint64_t name;
#define LOAD_FIELD_NUMBER(name)  double name;
#define LOAD_FIELD_SECONDS(name) double name;
#define LOAD_FIELD_CHOICE(name)  uint32_t name;
#define LOAD_FIELD_SWITCH(name)  bool name;

struct load_options {
#define LOAD_OPTION(section, name, TYPE, default_text, min, max, unit, help) LOAD_FIELD_##TYPE(name)
#include "tests/load/options.def"
#undef LOAD_OPTION
};

enum load_protocol { LOAD_TEXT, LOAD_META, LOAD_BINARY };
enum load_verify { LOAD_VERIFY_FULL, LOAD_VERIFY_HEAD, LOAD_VERIFY_NONE };
enum load_preload { LOAD_PRELOAD_YES, LOAD_PRELOAD_NO, LOAD_PRELOAD_ONLY };
enum load_progress { LOAD_PROGRESS_AUTO, LOAD_PROGRESS_YES, LOAD_PROGRESS_NO };

#define OPTIONS_ERROR_BYTES 768u

void options_defaults(struct load_options *options);

/* One option by name (dashes equal underscores). False with one sentence in error; nothing has changed then. */
bool options_set(
    struct load_options *options, const char *name, const char *value, char error[OPTIONS_ERROR_BYTES]);

/* An INI file: each option stands in its section. False with one sentence in error. */
bool options_read(struct load_options *options, const char *path, char error[OPTIONS_ERROR_BYTES]);

/* Flags and files in order: --name=value, --name value, --switch, a bare word is a file. */
bool options_arguments(struct load_options *options, int argc, char **argv, char error[OPTIONS_ERROR_BYTES]);

/* What only shows when all are known. */
bool options_check(const struct load_options *options, char error[OPTIONS_ERROR_BYTES]);

void options_help(void);

/* The table of docs/WIRELOAD.md. */
void options_document(void);

/* wireload(1), to stdout. */
void options_manual(void);

#endif
