// A guest by its number and its kind, and what Proxmox's commands and files call it.
#pragma once

#include <string>
#include <string_view>

namespace pvegpu {

enum class GuestKind { unknown, vm, container, instance };

struct Guest {
    unsigned vmid = 0;
    GuestKind kind = GuestKind::unknown;
    std::string instance =
        {}; // of a VM of Incus or LXD: its name, "web" or "lab/db"; then `vmid` is its number_of

    bool is_instance() const { return kind == GuestKind::instance; }
    bool is_container() const { return kind == GuestKind::container; }
    bool is_vm() const { return kind == GuestKind::vm; }

    std::string number() const { return std::to_string(vmid); }
    // "VM 101", "container 901"; "guest 901" of one that is not here, or while Proxmox's files do not answer.
    std::string name() const
    {
        if (is_instance()) return "VM '" + instance + "'";
        return (is_vm() ? "VM " : is_container() ? "container " : "guest ") + number();
    }
    // "CT 901", as Proxmox's own log has it.
    std::string short_name() const { return is_container() ? "CT " + number() : name(); }
    std::string template_fact() const { return name() + " is a template, which never starts"; }
    // The command that manages it.
    std::string tool() const { return is_container() ? "pct" : "qm"; }
    // As in our JSON and options, and in high availability's ids.
    std::string type() const { return is_instance() ? "incus" : is_container() ? "ct" : "vm"; }
    // As our options take it: "--vm 101", "--incus web".
    std::string option() const { return "--" + type() + " " + (is_instance() ? instance : number()); }
    std::string set_command(const std::string& rest) const // "qm set 101 REST"
    {
        return tool() + " set " + number() + " " + rest;
    }
    std::string install_command() const { return "pve-gpu-install " + option(); }
    std::string start_command() const
    {
        return is_instance() ? "pve-gpu-install start " + option() : tool() + " start " + number();
    }
    // On this node, if none is named.
    std::string config_path(std::string_view node = "") const; // empty: this node's

    bool operator==(const Guest&) const = default;
};

} // namespace pvegpu
