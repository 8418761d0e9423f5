// Runs a program by its argument vector: no shell, a fixed environment, a deadline.
#pragma once

#include "machine/system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

// `text` is what it wrote to its standard output and error, at most 64 KiB. At the deadline, or when `cancel`
// (a descriptor or -1) becomes readable, it is killed and reported as still running: a task blocked in the
// kernel outlives that. The program is a path; our own descriptors 0 to 2 must be in use. `on_line` as
// System::run has it.
SysResult run_program(const std::vector<std::string>& arguments, Milliseconds timeout, int cancel,
                      const System::OnLine& on_line = {});

} // namespace pvegpu
