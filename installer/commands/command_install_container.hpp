// The containers' part of `install`.
#pragma once

#include "commands/commands.hpp"

namespace pvegpu {

struct InstallPlan; // changes/install_plan.hpp
struct Manifest;    // changes/manifest.hpp
struct Survey;      // host/survey.hpp

// Appends to the plan what the containers of the options need, and warns of cards that a VM and a container
// name. On a terminal it asks whether a container's hard-coded lines may be replaced: that is no part of what
// '--yes' agrees to, for somebody has written them by hand. Throws Error.
void plan_containers(Session& session, const Survey& survey, const Manifest& manifest, InstallPlan& plan);

// Asks on a terminal whether the containers may lose what the plan takes from them; '--yes' agrees to it, as
// it has been said. Throws Error where they may not.
void confirm_losses(Session& session, const InstallPlan& plan);

// Sees that each container can be started now. Looks into each container that runs. One that lacks what its
// configuration names is restarted, if the administrator agrees: by what it really has, never by what was
// changed just now. Throws Error.
void finish_containers(Session& session);

} // namespace pvegpu
