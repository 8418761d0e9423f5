// Reads a captured machine, tests/machines/*.machine, into the fake system. One fact a line:
//   PATH = text        a file, with \n for each line's end and \\ for a backslash
//   PATH = hex 8680... a file of bytes
//   PATH -> target     a symbolic link
//   PATH has file      a file that cannot be read, or whose content is no fact
//   PATH node c226:0   a device node; b: of a block device; "c226:0 666" with the mode of root's
//   PATH has mode 755  a file of root's, whose content is no fact
//   PATH is absent     with all below it: of a machine that is another one but for some lines
//   function ADDRESS 10de:2204 030000, bridge ADDRESS
//                      with all that a kernel shows of it, for machines that are told and not captured;
//                      behind it what is not as usual: below=ADDRESS driver=i915 group=11 reset=flr,bus
//                      boot_vga=0 of=PARENT for a virtual function, bus=06 pciehp=1 for a bridge
// tests/lab/capture makes them from a real kernel, 'pve-gpu-install capture' on somebody's host.
#pragma once

#include "fake_system.hpp"

#include <string>
#include <string_view>

namespace pvegpu::testing {

// Throws std::runtime_error with the number of a line that is none of these. The drivers of the machine
// know the ids of what they have; which was registered first is the test's to say.
void load_machine(FakeSystem& system, std::string_view text);
void load_machine_file(FakeSystem& system, const std::string& file);

} // namespace pvegpu::testing
