// What is known of messages that kernel, QEMU, Proxmox and guests give when a GPU cannot be passed.
#pragma once

#include "base/pci_address.hpp"
#include "check/check.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pvegpu {

struct KnownMessage {
    enum class Certainty { certain, likely, possible }; // of the cause

    std::string_view name;    // "log.reset-timeout"
    std::string_view pattern; // lower case; '*' stands for any text, also in front and behind
    Verdict verdict;          // of a line like it in the kernel's log
    Certainty certainty;
    std::string_view cause;
    std::string_view remedy;

    // Of a card that is gone or without memory: what is over once it answers and has all of it.
    bool passes = false;
    // What the pattern cannot tell, of the line in lower case; nothing: the pattern tells it all.
    bool (*applies)(std::string_view lowered) = nullptr;
};

const std::vector<KnownMessage>& known_messages();
std::string to_string(KnownMessage::Certainty certainty);

// Every message that the line is like, in the order of the table. Case does not matter.
std::vector<const KnownMessage*> messages_like(std::string_view line);

// The first "0000:03:00.0" in a text.
std::optional<PciAddress> address_in(std::string_view text);

// What a person who pasted this text is told; several lines are looked at one by one.
std::string explain(std::string_view text);

} // namespace pvegpu
