/*
 * Small text work that several files of control/ need: the nearest known word to a mistyped one.
 * No state; any thread.
 */
#ifndef WIRECACHE_CONTROL_TEXT_H
#define WIRECACHE_CONTROL_TEXT_H

#define TEXT_WORD_MAX 48u /* longer words are compared by their beginning */

/* Insertions, deletions, substitutions and swaps of neighbours that turn a into b. */
unsigned text_distance(const char *a, const char *b);

/* Collects candidates; best is NULL until one is near enough: a third of the word's letters, at least one. */
struct text_nearest {
	const char *word;
	const char *best;
	unsigned distance;
};
struct text_nearest text_nearest_begin(const char *word);
void text_nearest_offer(struct text_nearest *nearest, const char *candidate);

#endif
