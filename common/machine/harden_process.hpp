// What every program of ours does first: root runs it on other people's input.
#pragma once

namespace pvegpu {

// Nobody gets to see what it held in memory: no core dump, neither as a file nor by a program that the kernel
// hands it to, and no other user's debugger. What it writes is for nobody else until it says so.
void harden_process();

// Of a child that only works for us and starts no program: no way up, and no capability but those that the
// kernel, or a driver that it calls in the child's own context, may ask for behind a write to sysfs.
void harden_child();

} // namespace pvegpu
