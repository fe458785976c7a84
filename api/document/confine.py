"""What a process that lays out a document may still do: take memory, read its input, write its answer. Nothing else, and for ever."""

import ctypes
import errno
import os
import resource
import signal

import seccomp

INPUT, OUTPUT = 0, 1
PROT_EXEC = 4
CLONE_THREAD = 0x10000
NOBODY = 65534
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_FILES = (1 << 13) - 1  # every access to files that the first version knows

PLAIN = ("brk", "munmap", "mremap", "madvise", "futex", "getrandom", "clock_gettime", "clock_getres", "gettimeofday", "time", "rt_sigreturn",
         "restart_syscall", "rt_sigprocmask", "sigaltstack", "exit", "exit_group", "close", "lseek", "getpid", "gettid", "getuid", "geteuid",
         "sched_yield", "sched_getaffinity", "set_robust_list", "rseq")

libc = ctypes.CDLL(None, use_errno=True)


def prctl(option, value):
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def drop_root():
    """Root's rights are of no use here."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent():
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def bound(memory, seconds):
    """Memory beyond what is held now, processor time, time on the wall, no file written, none opened."""
    with open("/proc/self/statm", "rb") as file:
        held = int(file.read().split()[0]) * resource.getpagesize()
    try:
        with open("/proc/self/oom_score_adj", "wb") as file:
            file.write(b"1000")
    except OSError:
        pass  # where the kernel ends something, another may be chosen
    try:
        os.nice(5)
    except OSError:
        pass  # as urgent as the rest, then
    for what, limit in ((resource.RLIMIT_AS, held + memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_FSIZE, 0),
                        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, 3)):
        resource.setrlimit(what, (limit, limit))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def close_files():
    """Where the kernel knows Landlock, no path leads anywhere any more. seccomp refuses the calls as well, everywhere."""
    handled = ctypes.c_uint64(LANDLOCK_FILES)
    ruleset = libc.syscall(LANDLOCK_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return
    if libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def close_calls():
    """Of the kernel's calls only those that a computation needs; whatever else is asked for is refused."""
    calls = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    for name in PLAIN:
        try:
            calls.add_rule(seccomp.ALLOW, name)
        except (RuntimeError, ValueError):
            pass  # not a call of this processor's kernel
    calls.add_rule(seccomp.ALLOW, "read", seccomp.Arg(0, seccomp.EQ, INPUT))
    calls.add_rule(seccomp.ALLOW, "write", seccomp.Arg(0, seccomp.EQ, OUTPUT))
    for name in ("mmap", "mprotect"):
        calls.add_rule(seccomp.ALLOW, name, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
    # Pango looks faces up in a thread. What clone3 asks for cannot be looked at here: told that there is none, the C library takes clone.
    calls.add_rule(seccomp.ALLOW, "clone", seccomp.Arg(0, seccomp.MASKED_EQ, CLONE_THREAD, CLONE_THREAD))
    calls.add_rule(seccomp.ERRNO(errno.ENOSYS), "clone3")
    calls.load()


def confine(memory, seconds):
    """No way back. Raises where it cannot be had, and then nothing must be laid out."""
    prctl(PR_SET_DUMPABLE, 0)
    bound(memory, seconds)
    close_files()
    close_calls()
