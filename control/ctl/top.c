/*
 * `wirectl top`: one screen of what the daemon's `metrics` says, drawn again every second. Plain ANSI: it needs a
 * terminal of 80x24 and nothing else. Lines that do not fit are left out, the workers' first.
 */
#include "control/ctl/local.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "control/ctl/screen.h"

#define ROWS_DEFAULT 24u
#define ROWS_MIN     14u
#define PERIOD_MS    1000

#define ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[?25h\033[?1049l"
#define HOME  "\033[H"
#define CLEAR "\033[J"

/* Keys one by one and unseen, as long as it runs. */
static bool
raw_begin(struct termios *before)
{
	struct termios raw;
	if (!isatty(STDIN_FILENO) || tcgetattr(STDIN_FILENO, before) != 0)
		return false;
	raw = *before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
	return tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
}

/* Waits for the next picture; false: the user has seen enough. */
static bool
wait_for_key(bool keys, int timeout_ms)
{
	struct pollfd input = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
	char key;
	if (poll(&input, 1, timeout_ms) <= 0)
		return true;
	if (read(STDIN_FILENO, &key, 1) != 1)
		return false;
	return key != 'q' && key != 'Q' && key != 3 && key != 27;
}

static unsigned
terminal_rows(void)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row >= ROWS_MIN)
		return size.ws_row;
	return ROWS_DEFAULT;
}

static enum wire_exit
draw(const struct invocation *invocation, bool live)
{
	json_t *metrics;
	json_t *request = json_pack("{s:[s]}", "command", "metrics");
	struct render_style style = invocation_style(invocation);
	enum wire_exit code = invocation_call(invocation, request, &metrics);
	if (metrics == NULL)
		return code;
	char *text = screen_text(metrics, style.columns, terminal_rows(), style.color);
	if (text != NULL)
		printf("%s%s%s", live ? HOME : "", text, live ? CLEAR : "");
	fflush(stdout);
	free(text);
	json_decref(metrics);
	return WIRE_OK;
}

int
local_top(const struct invocation *invocation)
{
	struct termios before;
	bool live = isatty(STDOUT_FILENO), keys;
	int period_ms = invocation->watch_s > 0 ? (int)(invocation->watch_s * 1000) : PERIOD_MS;
	if (!live) /* into a file or a pipe: one picture */
		return draw(invocation, false);
	keys = raw_begin(&before);
	fputs(ENTER, stdout);
	enum wire_exit code;
	do
		code = draw(invocation, true);
	while (code == WIRE_OK && wait_for_key(keys, period_ms));
	fputs(LEAVE, stdout);
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	if (code == WIRE_UNREACHABLE) /* what was said of it went with the other screen */
		fprintf(stderr, "wirectl: wirecached on %s does not answer\n", invocation->socket_path);
	return code;
}
