"""The control thread of an appliance, which is its process's first: held by a tracer, as by a debugger, or ended alone."""
import ctypes
import os
import platform

from appliance import Skip, wait_for

PTRACE_PEEKTEXT, PTRACE_CONT, PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_DETACH = 1, 7, 12, 13, 17
PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207
WALL = 0x40000000
SYSCALL = 0x050f  # the instruction's bytes
SYS_EXIT = 60     # ends a thread, not its process
REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es "
             "fs gs").split()


class Registers(ctypes.Structure):
    """struct user_regs_struct of x86-64."""
    _fields_ = [(name, ctypes.c_ulonglong) for name in REGISTERS]


def trace(request, pid, address=None, data=None):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    ctypes.set_errno(0)
    result = libc.ptrace(request, pid, address, data)
    if ctypes.get_errno() != 0:
        raise Skip(f"ptrace: {os.strerror(ctypes.get_errno())}")
    return result


def interrupt(pid):
    trace(PTRACE_INTERRUPT, pid)
    os.waitpid(pid, WALL)


class Held:
    """Within it the kernel holds the thread, wherever it is."""

    def __init__(self, target):
        self.pid = target.process.pid

    def __enter__(self):
        trace(PTRACE_SEIZE, self.pid)
        interrupt(self.pid)
        return self

    def __exit__(self, *_):
        trace(PTRACE_DETACH, self.pid)


def end(target):
    """Makes the thread call exit(2), as if it had crashed without taking the others along. Nothing brings it back."""
    if platform.machine() != "x86_64":
        raise Skip("registers of x86-64 only")
    pid, registers = target.process.pid, Registers()
    trace(PTRACE_SEIZE, pid)
    interrupt(pid)
    while True:
        trace(PTRACE_GETREGS, pid, None, ctypes.addressof(registers))
        if trace(PTRACE_PEEKTEXT, pid, registers.rip - 2) & 0xffff == SYSCALL:
            break  # it waits in a system call, and is sent into another
        trace(PTRACE_CONT, pid)
        interrupt(pid)
    registers.rip -= 2
    registers.rax, registers.rdi, registers.orig_rax = SYS_EXIT, 0, 2**64 - 1
    trace(PTRACE_SETREGS, pid, None, ctypes.addressof(registers))
    trace(PTRACE_DETACH, pid)
    wait_for(lambda: state(pid) == "Z", "the control thread's end")


def state(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]
