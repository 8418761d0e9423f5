// verify --incus: programs are run in the VM by the API's exec, which its agent does.
#include "base/error.hpp"
#include "base/text.hpp"
#include "commands/guest_verification.hpp"
#include "containers/node_facts.hpp"
#include "incus/start.hpp"
#include "pci/read_function.hpp"
#include "pci/topology.hpp"
#include "proxmox/passthrough.hpp"

namespace pvegpu {
namespace {

// What hangs in the guest is ended there by `timeout`: the operation cannot be cancelled.
constexpr auto ends_in_guest_within = "25"; // seconds

// What it printed, which the daemon keeps in two files.
std::string take_output(Daemon& daemon, const Instance& instance, const Json& metadata)
{
    std::string text;
    for (const auto* stream : {"1", "2"}) {
        const auto path = text_in(member(metadata, "output"), stream);
        if (!path.starts_with("/1.0/instances/")) continue;
        const auto target = path + "?project=" + url_part(instance.name.project);
        text += daemon.get_file(target).value_or("");
        daemon.tell({"DELETE", target});
    }
    return text;
}

GuestAnswer run_inside(Daemon& daemon, const Instance& instance, const std::vector<std::string>& words)
{
    using enum GuestAnswer::Kind;
    constexpr unsigned no_such_program = 127; // of `timeout`
    std::vector<std::string> command{"timeout", ends_in_guest_within};
    command.insert(command.end(), words.begin(), words.end());
    const Json body{
        {"command", command}, {"record-output", true}, {"wait-for-websocket", false}, {"interactive", false}};
    const auto begun = daemon.tell({"POST", instance.path("/exec"), body.dump()});
    if (begun.failed()) return {no_answer, begun.error};
    const auto end = daemon.wait(begun.operation, program_ends_within);
    if (end.how == OperationEnd::How::badly)
        return {end.error.find("Command not found") != std::string::npos ? not_installed : no_answer,
                end.error};
    if (end.how != OperationEnd::How::well) return {no_answer, ""};
    const auto text = take_output(daemon, instance, end.metadata);
    const auto status = whole_number<unsigned>(member(end.metadata, "return"));
    if (status == no_such_program) return {not_installed, text};
    return {status == 0U ? done : failed, text};
}

// "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  ..."
std::string version_in(const std::string& text)
{
    for (const auto word : words_of(text))
        if (is_digit(word.front()) && std::string_view(word).find('.') != std::string_view::npos)
            return std::string(word);
    return "";
}

// The module and the libraries in the VM have to be of one version; the host needs no driver at all.
void compare_versions(GuestVerification& guest, const GuestRunner& run, const std::string& of_host)
{
    const auto module = run({"cat", "/sys/module/nvidia/version"});
    const auto library = run({"nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"});
    if (module.kind != GuestAnswer::Kind::done) return; // 'driver.loaded' and 'nvidia-smi' say what is wrong
    const auto loaded = version_in(module.text), used = version_in(library.text);
    const auto host = of_host.empty() ? "; the host has no NVIDIA module loaded, and needs none"
                      : of_host == loaded
                          ? "; the host's is the same"
                          : "; the host's is " + printable(of_host) + ", which is no matter for a VM";
    const auto text = "module " + printable(loaded) + ", nvidia-smi " +
                      (used.empty() ? "does not say" : printable(used)) + host;
    const bool differ = !used.empty() && used != loaded;
    guest.checks.push_back(found(
        "versions.match", differ ? Verdict::error : Verdict::ok, text,
        differ ? "reboot the VM after an upgrade of its driver, or install one version of all of it" : ""));
}

} // namespace

GuestVerification verify_instance(System& system, const InstanceName& name)
{
    const auto instance = find_instance(system, name);
    if (!instance.is_vm)
        throw Error(ErrorKind::invalid_config,
                    {quote(name.text()) + " is a container, not a VM",
                     "'" + instance.command("exec", "-- nvidia-smi") + "' looks into it"});
    GuestVerification guest{{number_of(name), GuestKind::instance, name.text()}, {}};
    const bool runs = instance.status == "Running" || instance.status == "Ready";
    guest.checks.push_back(
        found("guest.running", runs ? Verdict::ok : Verdict::error,
              runs ? "it runs" : "it does not run (" + printable(instance.status) + ")",
              runs ? "" : "start it: 'pve-gpu-install start --incus " + name.text() + "'"));
    if (!runs) return guest;
    std::vector<Function> gpus;
    bool has_nvidia = false;
    constexpr unsigned nvidia = 0x10de;
    for (const auto& device :
         resolve_hostpci(as_guest_config(system, instance), {}, "", list_functions(system)))
        for (const auto& address : device.taken().functions)
            if (auto function = read_function(system, address); function && is_gpu(*function)) {
                has_nvidia = has_nvidia || function->vendor == nvidia;
                gpus.push_back(std::move(*function));
            }
    Daemon daemon(system, instance.socket);
    const GuestRunner run = [&](const std::vector<std::string>& words) {
        return run_inside(daemon, instance, words);
    };
    inspect_vm(guest, run, gpus,
               "install 'incus-agent' ('lxd-agent') in the guest, and mount its 'agent:config' disk");
    if (has_nvidia) compare_versions(guest, run, nvidia_module_version(system));
    return guest;
}

} // namespace pvegpu
