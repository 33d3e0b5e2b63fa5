/*
 * See bytecode.h.
 */
#include "dataplane/bytecode.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Digits up to a separator, which is passed over. */
static bool
take_number(const char **at, char separator, uint64_t most, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	errno = 0;
	*number = strtoull(*at, &end, 10);
	if (errno != 0 || *number > most || *end != separator)
		return false;
	*at = end + (separator != '\0');
	return true;
}

static bool
take_instruction(const char **at, bool last, struct bpf_insn *out)
{
	uint64_t code, jt, jf, k;

	if (!take_number(at, ' ', UINT16_MAX, &code) || !take_number(at, ' ', UINT8_MAX, &jt) ||
	    !take_number(at, ' ', UINT8_MAX, &jf) || !take_number(at, last ? '\0' : ',', UINT32_MAX, &k))
		return false;
	*out =
	    (struct bpf_insn){.code = (u_short)code, .jt = (u_char)jt, .jf = (u_char)jf, .k = (bpf_u_int32)k};
	return true;
}

/* The instructions that there are. libpcap ends the process when it meets another, and its bpf_validate() lets some pass. */
static bool
is_known(unsigned code)
{
	switch (code) {
	case BPF_LD | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_H | BPF_ABS:
	case BPF_LD | BPF_B | BPF_ABS:
	case BPF_LD | BPF_W | BPF_IND:
	case BPF_LD | BPF_H | BPF_IND:
	case BPF_LD | BPF_B | BPF_IND:
	case BPF_LDX | BPF_IMM:
	case BPF_LDX | BPF_MEM:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_MSH | BPF_B:
	case BPF_ST:
	case BPF_STX:
	case BPF_ALU | BPF_NEG:
	case BPF_JMP | BPF_JA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
		return true;
	}
	if (BPF_CLASS(code) == BPF_ALU && code < 0x100)
		return BPF_OP(code) <= BPF_XOR && BPF_OP(code) != BPF_NEG;
	if (BPF_CLASS(code) == BPF_JMP && code < 0x100)
		return BPF_OP(code) >= BPF_JEQ && BPF_OP(code) <= BPF_JSET;
	return false;
}

/* Programs of known instructions that only go forward: libpcap runs jumps backwards, which its protochain makes, and such a
 * program might never end. */
static bool
ends_surely(const struct bpf_insn *code, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (!is_known(code[i].code) || (code[i].code == (BPF_JMP | BPF_JA) && code[i].k >= len - i))
			return false;
	return true;
}

int
bytecode_parse(const char *text, struct bpf_program *program, char error[DATAPLANE_ERROR_MAX])
{
	struct bpf_insn *code;
	uint64_t len;
	bool good;

	if (!take_number(&text, ',', BYTECODE_MAX, &len) || len == 0) {
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "the filter is no program of 1 to %u instructions: wirectl capture start compiles one",
		    BYTECODE_MAX);
		return -EINVAL;
	}
	code = calloc(len, sizeof(*code));
	if (!code) {
		snprintf(error, DATAPLANE_ERROR_MAX, "no memory for a filter");
		return -ENOMEM;
	}
	good = true;
	for (uint64_t i = 0; i < len && good; i++)
		good = take_instruction(&text, i + 1 == len, &code[i]);
	/* No access beyond the packet or the scratch memory, and an end. */
	if (!good || !ends_surely(code, len) || !bpf_validate(code, (int)len)) {
		free(code);
		snprintf(error, DATAPLANE_ERROR_MAX,
		    "the filter's program has a loop (protochain) or is damaged: wirectl capture start "
		    "compiles one");
		return -EINVAL;
	}
	*program = (struct bpf_program){.bf_len = (unsigned)len, .bf_insns = code};
	return 0;
}
