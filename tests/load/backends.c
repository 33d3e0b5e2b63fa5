/*
 * The backends that there are, in the order in which the help names them. A new one is a file with its operations and
 * a line here.
 */
#include "tests/load/backend.h"

const struct load_backend_ops *const load_backends[] = {
    &load_backend_kernel,
    &load_backend_dpdk,
    NULL,
};
