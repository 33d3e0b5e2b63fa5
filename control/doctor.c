/*
 * See doctor.h.
 */
#include "control/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/wire.h"

bool
doctor_plain(const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-";
	return word[strspn(word, plain)] == '\0';
}

void
doctor_add(struct doctor *doctor, const char *check, enum doctor_state state, bool safe, const char *fix,
    const char *format, ...)
{
	static const char *const states[] = {"ok", "advice", "failing"};
	char detail[CONFIG_MESSAGE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	json_t *row = json_object();
	json_object_set_new(row, "check", json_string(check));
	json_object_set_new(row, "state", json_string(states[state]));
	json_object_set_new(row, "detail", wire_string(detail));
	json_object_set_new(row, "fix", wire_string(fix));
	json_object_set_new(row, "safe", json_boolean(safe && doctor_plain(doctor->host->root)));
	json_array_append_new(doctor->rows, row);
	doctor->failing += state == DOCTOR_FAILING;
}

static void
check_configuration(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	if (config->errors == 0)
		doctor_add(doctor, "configuration", DOCTOR_OK, false, "", "no mistakes");
	for (unsigned i = 0; i < config->errors && i < CONFIG_ERRORS_MAX; i++)
		doctor_add(doctor, "configuration", DOCTOR_FAILING, false, "", "%s", config->messages[i]);
}

json_t *
doctor_run(const struct config *config, const char *root, bool running, bool quick, unsigned *failing)
{
	static struct host host; /* large; control thread only */
	struct doctor doctor = {.config = config, .host = &host, .rows = json_array(), .running = running};
	host_scan(&host, root != NULL ? root : "");
	check_configuration(&doctor);
	doctor_memory(&doctor);
	doctor_rights(&doctor);
	doctor_cards(&doctor, quick);
	if (!quick)
		doctor_cores(&doctor);
	*failing = doctor.failing;
	return doctor.rows;
}
