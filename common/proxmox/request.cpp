#include "proxmox/request.hpp"

namespace pvegpu {

std::string to_string(Phase phase)
{
    switch (phase) {
    case Phase::pre_start:
        return "pre-start";
    case Phase::post_start:
        return "post-start";
    case Phase::pre_stop:
        return "pre-stop";
    case Phase::post_stop:
        break;
    }
    return "post-stop";
}

} // namespace pvegpu
