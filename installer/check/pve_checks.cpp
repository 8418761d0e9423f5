// Proxmox's own files.
#include "check/findings.hpp"

namespace pvegpu {
namespace {

Findings pve_cluster_fs(const CheckFacts& facts)
{
    if (facts.pve_problem.empty()) return {{Verdict::ok, std::string(paths::pve) + " answers"}};
    return {{Verdict::error, facts.pve_problem, by_command("systemctl status pve-cluster corosync")}};
}

} // namespace

std::vector<Check> pve_checks()
{
    return {{"pve.cluster-fs", "Proxmox's files answer", "whether /etc/pve answers",
             "without it no guest can start, and none can be looked at here", pve_cluster_fs}};
}

} // namespace pvegpu
