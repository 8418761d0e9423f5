// Whose devices the host is prepared for besides those of the guests that are attached. What 'install --host'
// was asked for counts from then on, whoever is attached later: else that would take away again what was
// prepared.
#pragma once

#include "base/json.hpp"
#include "machine/system.hpp"

#include <string>
#include <vector>

namespace pvegpu {

struct Prepared {
    std::vector<unsigned> vms = {};
    bool every_vm = false; // with devices: this node's, and of other nodes' those that may come to it
    std::vector<std::string> instances = {}; // of Incus or LXD, by name
    bool every_instance = false;             // for a look only: it is not written down

    bool operator==(const Prepared&) const = default;
};

Prepared both(Prepared one, const Prepared& other);

// As the installer's record has it. A record of an earlier version says nothing.
Json prepared_json(const Prepared& prepared);
Prepared parse_prepared(const Json& record);

// That of this host. Nothing if there is none or it cannot be read: who changes something reads all of it and
// fails.
Prepared read_prepared(const SysReader& reader);

} // namespace pvegpu
