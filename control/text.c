/*
 * Edit distance (optimal string alignment), for "did you mean". Three rows of the usual table suffice.
 */
#include "control/text.h"

#include <string.h>

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;
	return least < c ? least : c;
}

unsigned
text_distance(const char *a, const char *b)
{
	unsigned rows[3][TEXT_WORD_MAX + 1];
	size_t a_len = strnlen(a, TEXT_WORD_MAX), b_len = strnlen(b, TEXT_WORD_MAX);
	unsigned *before = rows[0], *last = rows[1], *row = rows[2];
	for (unsigned j = 0; j <= b_len; j++)
		before[j] = last[j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned differs = a[i - 1] != b[j - 1];
			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + differs);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		unsigned *oldest = before;
		before = last;
		last = row;
		row = oldest;
	}
	return last[b_len];
}

struct text_nearest
text_nearest_begin(const char *word)
{
	unsigned letters = (unsigned)strnlen(word, TEXT_WORD_MAX);
	struct text_nearest nearest = {.word = word, .distance = (letters < 6 ? 2 : letters / 3) + 1};
	return nearest;
}

void
text_nearest_offer(struct text_nearest *nearest, const char *candidate)
{
	unsigned distance = text_distance(nearest->word, candidate);
	/* A short word that shares nothing is no suggestion however few its letters. */
	if (distance < nearest->distance && distance < strlen(candidate)) {
		nearest->distance = distance;
		nearest->best = candidate;
	}
}
