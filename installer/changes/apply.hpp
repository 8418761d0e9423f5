// Makes a list of changes: all of them, or none.
#pragma once

#include "changes/change.hpp"
#include "changes/manifest.hpp"
#include "changes/terminal.hpp"
#include "machine/system.hpp"

#include <vector>

namespace pvegpu {

// `before` is the manifest as it is, `after` as it will be: that one is on the disk before the first change.
// On the first failure everything that was done is undone, `before` is written back, and Error says both.
// Below `--root` programs are only listed, so nothing is to be seen of what they did.
void apply(System& system, Console& console, const std::vector<Change>& changes, const Manifest& before,
           Manifest after, bool programs_run = true);

} // namespace pvegpu
