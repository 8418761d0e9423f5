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
    enum class Maps { any, card, memory };      // what a mapping that was refused is of
    enum class Over { never, answers, starts }; // when the card answers again; when its guest runs

    std::string name, title;
    std::vector<std::string> patterns;
    Bar bar = Bar::any;
    Maps maps = Maps::any;
    Verdict verdict = Verdict::error;
    Certainty certainty = Certainty::certain;
    Over over = Over::never;
    bool hook = false;                // attaching the hook is the first thing to do
    bool reset = false;               // the cure is that the hook resets the card
    std::vector<std::string> follows; // names of messages that this one comes with, if they are of one card
    std::string cause, remedy, source;
};

// Throws what nlohmann::json throws where the table is broken; a test reads it.
const std::vector<KnownMessage>& known_messages();
std::string to_string(KnownMessage::Certainty certainty);

// Every message that the line is like, in the order of the table. Case does not matter.
std::vector<const KnownMessage*> messages_like(std::string_view line);

// The remedy on a host with that processor, for the first of the guests and that device: "N" and "ADDRESS"
// stand for what is not known. Where the hook is attached, or told of elsewhere, it is not advised.
std::string remedy_of(const KnownMessage& message, CpuVendor cpu, const std::vector<unsigned>& guests = {},
                      const std::optional<PciAddress>& address = {}, bool without_hook = false,
                      const std::string& instance = "");

// The device that a text is about: "0000:03:00.0", NVIDIA's "PCI:0000:03:00" (function 0), and without a
// domain "03:00.0", which is of domain 0000. Every one of them in turn; the whole addresses first.
std::vector<PciAddress> addresses_in(std::string_view given);
std::optional<PciAddress> address_in(std::string_view text); // the first

} // namespace pvegpu
