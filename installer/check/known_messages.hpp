// What is known of messages that kernel, QEMU, Proxmox and guests give when a GPU cannot be passed.
#pragma once

#include "base/pci_address.hpp"
#include "check/check.hpp"
#include "host/kernel_cmdline.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

extern const std::string_view known_messages_json; // known_messages.json, which says what each field means

struct KnownMessage {
    enum class Certainty { certain, likely, possible };
    enum class Bar { any, own, other };

    std::string name, title;
    std::vector<std::string> patterns;
    Bar bar = Bar::any;
    Verdict verdict = Verdict::error;
    Certainty certainty = Certainty::certain;
    bool passes = false;
    std::string cause, remedy, source;
};

// Throws what nlohmann::json throws where the table is broken; a test reads it.
const std::vector<KnownMessage>& known_messages();
std::string to_string(KnownMessage::Certainty certainty);

// Every message that the line is like, in the order of the table. Case does not matter.
std::vector<const KnownMessage*> messages_like(std::string_view line);

// The remedy on a host with that processor, for the first of the guests and that device: "N" and "ADDRESS"
// stand for what is not known.
std::string remedy_of(const KnownMessage& message, CpuVendor cpu, const std::vector<unsigned>& guests = {},
                      const std::optional<PciAddress>& address = {});

// The first "0000:03:00.0" in a text.
std::optional<PciAddress> address_in(std::string_view text);

// What a person who pasted this text is told; several lines are looked at one by one.
std::string explain(std::string_view text);

} // namespace pvegpu
