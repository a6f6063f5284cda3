"""System calls made by a running process itself, by ptrace: its own filter judges them. For x86-64."""
import contextlib
import ctypes
import os
import platform
import re
import signal
import subprocess
import time

import pytest

from lib.environment import BITS, longer

GETREGS, SETREGS, SINGLESTEP, DETACH, SEIZE, INTERRUPT = 12, 13, 9, 17, 0x4206, 0x4207
NAMES = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs"
ARGUMENTS = ["rdi", "rsi", "rdx", "r10", "r8", "r9"]
ARGUMENTS_32 = ["rbx", "rcx", "rdx", "rsi", "rdi", "rbp"]
SYSCALL, INT_80 = b"\x0f\x05", b"\xcd\x80"
SCRATCH = 4096  # bytes below the stack pointer
libc = ctypes.CDLL(None, use_errno=True)

needs_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64" or BITS != 64, reason="needs the registers of x86-64")


class Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulong) for name in NAMES.split()]


def call_numbers():
    """The numbers of all system calls, by their names, from the kernel's headers."""
    macros = subprocess.run(["cc", "-E", "-dM", "-include", "asm/unistd_64.h", "-x", "c", "/dev/null"], check=True,
                            capture_output=True, text=True).stdout
    return {name: int(number) for name, number in re.findall(r"^#define __NR_(\w+) (\d+)$", macros, re.MULTILINE)}


def ptrace(request, pid, address=0, data=0):
    result = libc.ptrace(ctypes.c_ulong(request), ctypes.c_ulong(pid), ctypes.c_ulong(address), ctypes.c_void_p(data))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Injector:
    """Makes calls in the main thread of a process; calls return a number, or minus errno."""

    def __init__(self, pid):
        self.pid = pid
        self.saved = Registers()
        self.memory = open(f"/proc/{pid}/mem", "r+b", buffering=0)  # pylint: disable=consider-using-with
        ptrace(SEIZE, pid)
        ptrace(INTERRUPT, pid)
        self.wait()
        ptrace(GETREGS, pid, data=ctypes.addressof(self.saved))
        self.instructions = self.find_code(SYSCALL), self.find_code(INT_80)

    def wait(self):
        """Until the thread has stopped; if it does not, e.g. as a call waits, the process is killed."""
        deadline = time.monotonic() + longer(10)
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG | 0x40000000)  # __WALL
            if pid:
                assert os.WIFSTOPPED(status), f"the process has ended: {status}"
                return
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError("the call does not return")
            time.sleep(0)

    def find_code(self, instruction):
        """The address of an instruction, which may be within another one."""
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            ranges = [re.match(r"(\w+)-(\w+) r-xp .* /", line) for line in maps]
        for found in filter(None, ranges):
            start, end = int(found[1], 16), int(found[2], 16)
            at = self.read(start, end - start).find(instruction)
            if at >= 0:
                return start + at
        raise AssertionError("no system call in the process")

    def read(self, address, size):
        self.memory.seek(address)
        return self.memory.read(size)

    def write(self, address, content):
        self.memory.seek(address)
        self.memory.write(content)

    def step(self, code, number, names, arguments):
        registers = Registers.from_buffer_copy(self.saved)
        registers.rip, registers.rax, registers.orig_rax = code, number, ctypes.c_ulong(-1).value
        registers.rsp = self.saved.rsp - 2 * SCRATCH
        for name, argument in zip(names, arguments):
            setattr(registers, name, argument & (1 << 64) - 1)
        ptrace(SETREGS, self.pid, data=ctypes.addressof(registers))
        ptrace(SINGLESTEP, self.pid)
        self.wait()
        ptrace(GETREGS, self.pid, data=ctypes.addressof(registers))
        return ctypes.c_long(registers.rax).value

    def call(self, number, *arguments):
        """An argument of bytes becomes a pointer to a copy."""
        words, free = [], self.saved.rsp - SCRATCH
        for argument in arguments:
            if isinstance(argument, bytes):
                self.write(free, argument)
                words.append(free)
                free += len(argument) + 15 & ~15
            else:
                words.append(argument)
        return self.step(self.instructions[0], number, ARGUMENTS, words)

    def call_32(self, number, *arguments):
        """With the ABI of 32 bits."""
        return self.step(self.instructions[1], number, ARGUMENTS_32, arguments)

    def close(self):
        with contextlib.suppress(OSError):  # it was killed
            ptrace(SETREGS, self.pid, data=ctypes.addressof(self.saved))
            ptrace(DETACH, self.pid)
        self.memory.close()


@contextlib.contextmanager
def inside(process):
    """An injector for a process, which goes on undisturbed afterwards."""
    injector = Injector(process.pid)
    try:
        yield injector
    finally:
        injector.close()
