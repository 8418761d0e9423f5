#include "remedy.hpp"

namespace pvegpu {
namespace {

std::string remedy(const Holder& holder)
{
    switch (holder.kind) {
    case Holder::Kind::mount:
        return "unmount it, or take the device out of the guest's hostpci lines";
    case Holder::Kind::network:
        return "take the interface down, or take the device out of the guest's hostpci lines";
    case Holder::Kind::usb:
        return "unplug it, or pass the controller to the guest too";
    case Holder::Kind::claim:
        return "wait until that VM has started";
    case Holder::Kind::vfio:
    case Holder::Kind::process:
    case Holder::Kind::reservation:
        break;
    }
    return "stop it first";
}

} // namespace

std::string in_use_message(const Holder& holder)
{
    return "'" + to_string(holder.function) + "' is in use by " + describe(holder) + "; " + remedy(holder);
}

} // namespace pvegpu
