// Options of a VM that reach QEMU beside its 'hostpci' lines, or stand in their way: a ROM file, `args`,
// `kvm`.
#include "base/lists.hpp"
#include "check/findings.hpp"
#include "check/guest_args.hpp"

#include <array>

namespace pvegpu {
namespace {

using Words = std::vector<std::string>;

bool is_vm(const SurveyedGuest& guest)
{
    return guest.id.is_vm() && !guest.config.is_template;
}

Findings guest_romfile(const CheckFacts& facts, const SurveyedGuest& guest)
{
    Findings findings;
    for (const auto& line : guest.config.hostpci) {
        const auto path = rom_of(line);
        if (path.empty() || !facts.absent_roms.contains(path)) continue;
        findings.push_back({Verdict::error,
                            line.key() + " has a 'romfile', and " + quote(path) + " is absent",
                            by_command(set_property(guest.id.vmid, line, "romfile", ""),
                                       "or put the ROM there again; without one the card's own is used")});
    }
    return findings;
}

// --- args ---

Remedy set_args(const SurveyedGuest& guest, const Words& words, const std::string& more,
                const std::string& say)
{
    const auto args =
        words.empty() ? std::string("--delete args") : "--args " + shell_quoted(shell_line(words));
    return set(guest, args + more, say);
}

// What Proxmox has a property of its own for (the hostpci format in PCI.pm); empty for all else.
std::string as_property(std::string_view option)
{
    constexpr std::string_view roms = "romfile=/usr/share/kvm/", id = "x-pci-";
    if (option == "x-vga=on" || option == "x-vga=true") return "x-vga=1";
    if (option == "rombar=0" || option == "rombar=off") return "rombar=0";
    if (option.starts_with(roms)) return "romfile=" + std::string(option.substr(roms.size()));
    if (option.starts_with(id) && option.find("vendor-id=0x") != std::string_view::npos)
        return std::string(option.substr(id.size()));
    if (option.starts_with(id) && option.find("device-id=0x") != std::string_view::npos)
        return std::string(option.substr(id.size()));
    return "";
}

// Its place and its name are Proxmox's business then.
bool is_of_the_bus(std::string_view option)
{
    return std::ranges::any_of(std::array{"id=", "bus=", "addr=", "multifunction="},
                               [&](const char* key) { return option.starts_with(key); });
}

// A 'hostpci' line for each, and `args` without them.
Remedy as_hostpci(const SurveyedGuest& guest, const Words& words, const std::vector<ArgsDevice>& devices)
{
    const bool q35 = guest.config.setting("machine").find("q35") != std::string::npos;
    auto rest = words;
    Words lost;
    std::string lines;
    unsigned index = guest.config.hostpci.empty() ? 0 : guest.config.hostpci.back().index + 1;
    for (const auto& device : devices) {
        if (guest.keys.contains(device.address)) continue; // it has a line
        auto line = to_string(device.address) + (q35 ? ",pcie=1" : "");
        for (const auto& option : device.options) {
            const auto property = as_property(option);
            if (!property.empty()) line += "," + property;
            if (property.empty() && !is_of_the_bus(option)) lost.push_back(option);
        }
        if (index >= max_hostpci) return {"move them to 'hostpci' lines; there is none left"};
        lines += " --hostpci" + std::to_string(index++) + " " + shell_quoted(line);
    }
    for (auto left = devices.size(); left > 0; --left) {
        const auto at = rest.begin() + static_cast<std::ptrdiff_t>(devices[left - 1].word);
        rest.erase(at, at + 2);
    }
    return set_args(guest, rest, lines,
                    lost.empty() ? "" : "a 'hostpci' line has no word for '" + join(lost, "', '") + "'");
}

Findings devices_past_proxmox(const SurveyedGuest& guest, const Words& words)
{
    const auto devices = devices_in_args(words);
    if (devices.empty()) return {};
    Words names, twice;
    for (const auto& device : devices) {
        names.push_back(to_string(device.address));
        if (guest.keys.contains(device.address)) twice.push_back(to_string(device.address));
    }
    auto evidence = "'args' hands '" + join(names, "', '") + "' to QEMU past Proxmox";
    if (!twice.empty())
        evidence += "; '" + join(twice, "', '") + "' has a 'hostpci' line too, and QEMU refuses two";
    return {{twice.empty() ? Verdict::warning : Verdict::error, evidence, as_hostpci(guest, words, devices),
             "Proxmox then neither binds the device to vfio-pci nor keeps it from other guests, and the hook "
             "does not see it"}};
}

// "hostpci0" of "device.hostpci0.x-vga=on"; empty where it is no such setting.
std::string set_device(std::string_view word)
{
    constexpr std::string_view start = "device.hostpci";
    if (!word.starts_with(start)) return "";
    auto name = word.substr(std::string_view("device.").size());
    auto end = std::string_view("hostpci").size() + count_front(name.substr(7), is_digit);
    if (end + 1 < name.size() && name[end] == '.' && is_digit(name[end + 1])) // "hostpci0.1"
        end += 1 + count_front(name.substr(end + 1), is_digit);
    return std::string(name.substr(0, end));
}

// What QEMU calls the devices of the 'hostpci' lines (print_hostpci_devices in PCI.pm).
Words qemu_names(const CheckFacts& facts, const SurveyedGuest& guest)
{
    Words names;
    for (const auto& device : devices_of(facts, guest)) {
        const auto count = device.mdev ? 1 : device.taken().functions.size();
        for (std::size_t i = 0; i < count; ++i)
            names.push_back(device.key + (count > 1 ? "." + std::to_string(i) : ""));
    }
    return names;
}

// '-set device.hostpci0...' of a name that there is none of ends QEMU.
Findings wrong_names(const CheckFacts& facts, const SurveyedGuest& guest, const Words& words)
{
    const auto names = qemu_names(facts, guest);
    if (names.empty()) return {}; // 'guest.config' or 'guest.device-present' tells
    Words wrong, corrected = words;
    for (auto& word : corrected) {
        const auto name = set_device(word);
        if (name.empty() || contains(names, name)) continue;
        const auto base = name.substr(0, name.find('.'));
        const auto right = contains(names, base) ? base : base + ".0";
        if (!contains(wrong, name)) wrong.push_back(name);
        if (contains(names, right)) word.replace(word.find(name), name.size(), right);
    }
    if (wrong.empty()) return {};
    const auto evidence = "'args' sets something of '" + join(wrong, "', '") +
                          "', and QEMU's devices are called '" + join(names, "', '") + "'";
    const std::string why = "QEMU ends where '-set' names a device that is not there; a 'hostpci' line with "
                            "several functions makes 'hostpci0.0', 'hostpci0.1' of 'hostpci0'";
    if (corrected == words)
        return {{Verdict::error,
                 evidence,
                 {"take it out of 'args': no 'hostpci' line of that number is left"},
                 why}};
    return {{Verdict::error, evidence, set_args(guest, corrected, "", ""), why}};
}

bool says(std::string_view word, std::string_view text)
{
    return word.find(text) != std::string_view::npos;
}

// Options that take from the card what passthrough gives it, each with what it does. All in QEMU's
// hw/vfio/pci.c (x-no-mmap, x-no-kvm-*: for debugging; interrupts through KVM need its own interrupt
// controllers) and accel/.
struct Harm {
    std::string_view text, does;
};
constexpr std::array harms{
    Harm{"x-no-mmap=", "every access to the card's memory then goes through QEMU"},
    Harm{"x-no-kvm-intx=", "its interrupts then go through QEMU"},
    Harm{"x-no-kvm-msi=", "its interrupts then go through QEMU"},
    Harm{"x-no-kvm-msix=", "its interrupts then go through QEMU"},
    Harm{"kernel_irqchip=off", "every interrupt then goes through QEMU"},
    Harm{"kernel-irqchip=off", "every interrupt then goes through QEMU"},
    Harm{"accel=tcg", "the guest's processor is then emulated"},
};

bool is_off(std::string_view word, const Harm& harm)
{
    const auto value = word.substr(word.find(harm.text) + harm.text.size());
    return harm.text.ends_with('=') && (value.starts_with("off") || value.starts_with("false"));
}

Findings harmful_args(const Words& words)
{
    Findings findings;
    const auto add = [&](const std::string& word, std::string_view does) {
        findings.push_back({Verdict::warning,
                            "'args' has " + quote(word) + ": " + std::string(does),
                            {"take it out of 'args'"},
                            "it undoes what makes a passed card as fast as in a host"});
    };
    for (std::size_t i = 0; i < words.size(); ++i) {
        for (const auto& harm : harms)
            if (says(words[i], harm.text) && !is_off(words[i], harm)) add(words[i], harm.does);
        if (words[i] == "-no-kvm" ||
            (words[i] == "-accel" && i + 1 < words.size() && words[i + 1].starts_with("tcg")))
            add(words[i], "the guest's processor is then emulated");
    }
    return findings;
}

// QEMU takes the last '-cpu' (system/vl.c), and Proxmox puts `args` behind its own.
Findings processor_in_args(const SurveyedGuest& guest, const Words& words)
{
    const auto* option =
        find_where(words, [](const auto& word) { return word == "-cpu" || word == "--cpu"; });
    if (option == nullptr || option == &words.back()) return {};
    const auto& model = *(option + 1);
    return {
        {model.starts_with("host") ? Verdict::note : Verdict::warning,
         "'args' has '-cpu " + model + "', so nothing of " +
             (guest.config.setting("cpu").empty() ? "Proxmox's own '-cpu'"
                                                  : "'cpu: " + guest.config.setting("cpu") + "'") +
             " counts",
         {"put what it says into the 'cpu' line ('hidden=1', 'hv-vendor-id=', 'flags=') and take it out of "
          "'args'"},
         "of two '-cpu' QEMU takes the last: with it go the flags that Proxmox adds for a passed GPU"}};
}

Findings guest_args(const CheckFacts& facts, const SurveyedGuest& guest)
{
    const auto words = shell_words(guest.config.setting("args"));
    auto findings = devices_past_proxmox(guest, words);
    const bool with_device = !findings.empty() || facts.first_gpu_of(guest.id.vmid) != nullptr;
    if (!with_device) return {};
    append(findings, wrong_names(facts, guest, words));
    append(findings, harmful_args(words));
    append(findings, processor_in_args(guest, words));
    if (guest.config.setting("kvm") == "0")
        findings.push_back({Verdict::warning, "'kvm: 0': the guest's processor is emulated",
                            set(guest, "--delete kvm"),
                            "it undoes what makes a passed card as fast as in a host"});
    for (auto& finding : findings) finding.evidence.insert(0, guest.config_path() + ": ");
    return findings;
}

} // namespace

std::string rom_of(const HostPci& line)
{
    constexpr std::string_view key = "romfile=";
    for (const auto part : split(line.text, ','))
        if (part.starts_with(key)) return paths::join(paths::roms, part.substr(key.size()));
    return "";
}

std::vector<Check> guest_option_checks()
{
    return {
        {"guest.romfile", "the ROM that a 'hostpci' line names is there",
         "'romfile' of the hostpci lines, in /usr/share/kvm", "QEMU does not start without it",
         each_config_with_gpu<guest_romfile>},
        {"guest.args", "'args' leaves passthrough to Proxmox",
         "'args' and 'kvm': devices past Proxmox, names that QEMU does not have, options that undo "
         "passthrough",
         "what 'args' says Proxmox neither checks nor knows",
         [](const CheckFacts& facts) { return about_each<guest_args>(facts, facts.survey.guests, is_vm); }},
    };
}

} // namespace pvegpu
