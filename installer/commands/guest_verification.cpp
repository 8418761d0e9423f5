#include "commands/guest_verification.hpp"

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/container_gpus.hpp"
#include "host/container_survey.hpp"
#include "host/programs.hpp"
#include "host/pve_files.hpp"
#include "machine/paths.hpp"
#include "pci/read_function.hpp"
#include "usage/reservations.hpp"

#include <algorithm>
#include <functional>

namespace pvegpu {
namespace {

constexpr auto agent_ends_within = "25"; // seconds; before we lose patience with qm

using Words = std::vector<std::string>;
using Runner = GuestRunner;

// `front` is what runs a program in the guest.
Runner run_in(System& system, const Words& front, GuestAnswer (*parse)(const SysResult&))
{
    return [&system, front, parse](const Words& words) {
        auto all = front;
        append(all, words);
        return parse(system.run(all, program_ends_within));
    };
}

const std::string not_run_remedy = "without '--root' and '--dry-run' programs are run in the guest";

Finding check_of(std::string_view name, const GuestAnswer& answer, const std::string& program)
{
    using enum GuestAnswer::Kind;
    if (answer.kind == done) return found(name, Verdict::ok, first_lines(answer.text, 4));
    if (answer.kind == not_installed)
        return found(name, Verdict::note, "'" + program + "' is not installed in the guest");
    if (answer.kind == failed)
        return found(name, Verdict::error, first_lines(answer.text, 4),
                     "run '" + program + "' in the guest, and see the guest's kernel log (dmesg)");
    if (answer.kind == not_run)
        return found(name, Verdict::unknown, "'" + program + "' was not run", not_run_remedy);
    return found(name, Verdict::unknown,
                 "'" + program + "' did not end within " + in_seconds(program_ends_within));
}

// What there is in the guest to be tried.
struct Trials {
    bool nvidia = false, compute = false; // AMD's compute
    std::vector<std::string> renders;     // nodes of the others' GPUs
};

// Where the guest has ffmpeg, two seconds of video through the GPU's encoder: that of the render node, or
// NVIDIA's. One that has no encoder is no broken GPU.
Finding load_check(const Runner& run, const std::string& render)
{
    const bool nvidia = render.empty();
    Words words{"ffmpeg", "-hide_banner", "-loglevel", "error"};
    if (!nvidia) words.insert(words.end(), {"-vaapi_device", render});
    words.insert(words.end(), {"-f", "lavfi", "-i", "testsrc2=duration=2:size=1280x720"});
    if (!nvidia) words.insert(words.end(), {"-vf", "format=nv12,hwupload"});
    words.insert(words.end(), {"-c:v", nvidia ? "h264_nvenc" : "h264_vaapi", "-f", "null", "-"});
    const auto answer = run(words);
    if (answer.kind == GuestAnswer::Kind::done)
        return found("load", Verdict::ok, "two seconds of video were encoded by the GPU");
    auto check = check_of("load", answer, "ffmpeg");
    if (check.verdict == Verdict::error) check.verdict = Verdict::unknown;
    return check;
}

void add_tools(GuestVerification& guest, const Runner& run, const Trials& trials)
{
    auto& checks = guest.checks;
    if (trials.nvidia)
        checks.push_back(check_of(
            "nvidia-smi",
            run({"nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"}),
            "nvidia-smi"));
    for (const auto& render : trials.renders)
        checks.push_back(
            check_of("vainfo", run({"vainfo", "--display", "drm", "--device", render}), "vainfo"));
    if (trials.compute) checks.push_back(check_of("rocminfo", run({"rocminfo"}), "rocminfo"));
    if (trials.nvidia) checks.push_back(load_check(run, ""));
    for (const auto& render : trials.renders) checks.push_back(load_check(run, render));
}

// --- containers ---

Finding visible_in(const ContainerSurvey& container)
{
    if (container.wanted.empty())
        return found("gpu.visible", Verdict::error, "its configuration names no device node of a GPU",
                     "'pve-gpu-install --ct " + std::to_string(container.vmid) + "' gives it one");
    if (!container.inside.seen) return found("gpu.visible", Verdict::unknown, cannot_inspect);
    std::vector<std::string> missing;
    for (const auto& node : container.inside.nodes)
        if (!node.inside || !node.as_on_host()) missing.push_back(quote(node.wanted.node.path));
    if (missing.empty())
        return found("gpu.visible", Verdict::ok, printable(join(container.inside.listing, ", "), 300));
    return found("gpu.visible", Verdict::error,
                 join(missing, ", ") + " missing or with another number than on the host",
                 "restart it: 'pct reboot " + std::to_string(container.vmid) + "'");
}

Finding driver_for(const std::vector<GivenGpu>& gpus)
{
    if (gpus.empty())
        return found("driver.loaded", Verdict::error,
                     "no GPU of this host has the device nodes that it names",
                     "see 'pve-gpu-install status'");
    std::vector<std::string> drivers;
    bool good = true;
    for (const auto& [gpu, nvidia, render] : gpus) {
        drivers.push_back(quote(gpu->address) + ": " +
                          (gpu->driver.empty() ? "no driver" : quote(gpu->driver)));
        good = good && !gpu->driver.empty() && !gpu->on_vfio;
    }
    return found("driver.loaded", good ? Verdict::ok : Verdict::error, join(drivers, ", "),
                 good ? "" : "a container needs the host's driver; load it, or stop the VM that has the GPU");
}

Finding versions_in(const Inside& inside, const std::string& module)
{
    const auto& versions = inside.library_versions;
    if (!inside.seen) return found("versions.match", Verdict::unknown, cannot_inspect);
    if (module.empty()) return found("versions.match", Verdict::note, "NVIDIA's module is not loaded");
    const auto text = "module " + printable(module) + ", libraries " + printable(join(versions, ", "), 80);
    if (contains(versions, module)) return found("versions.match", Verdict::ok, text);
    if (const auto mismatch = library_mismatch(inside, module))
        return found("versions.match", Verdict::error, mismatch->fact, mismatch->remedy);
    return found("versions.match", Verdict::error, "the container has no libraries of NVIDIA's driver",
                 "install version " + printable(module) + " in it, without the kernel module");
}

Trials trials_of(const std::vector<GivenGpu>& gpus, const std::vector<WantedNode>& wanted)
{
    Trials trials;
    trials.compute =
        std::ranges::any_of(wanted, [](const WantedNode& one) { return one.node.kind == NodeKind::kfd; });
    for (const auto& one : gpus) {
        trials.nvidia = trials.nvidia || one.nvidia;
        if (!one.render.empty() && !one.gpu->is_nvidia()) trials.renders.push_back(one.render);
    }
    return trials;
}

// --- VMs ---

void refuse_template(const Guest& guest, bool is_template)
{
    if (is_template)
        throw Error(ErrorKind::invalid_config, {guest.template_fact(), "look into one of its clones"});
}

Finding running_check(bool runs, const std::string& tool, unsigned vmid)
{
    if (runs) return found("guest.running", Verdict::ok, "it runs");
    return found("guest.running", Verdict::error, "it does not run",
                 "start it: '" + tool + " start " + std::to_string(vmid) + "'");
}

// /proc/bus/pci/devices: "0100\t10de2204\t...\tnvidia"; the driver is the last word of the line
// (show_device in the kernel's drivers/pci/proc.c).
struct SeenFunction {
    std::string id, driver; // "10de2204"
};
std::vector<SeenFunction> functions_in_guest(const std::string& devices)
{
    std::vector<SeenFunction> seen;
    for (LineReader lines(devices); lines.next();) {
        const auto words = split(lines.line(), '\t');
        if (words.size() < 3) continue;
        const auto last = trim(words.back());
        const bool number = consists_of(last, is_hex); // no driver
        seen.push_back({std::string(words[1]), number ? "" : std::string(last)});
    }
    return seen;
}

// Two cards of one kind are two in the guest: what is found is taken out.
std::optional<SeenFunction> take_from_guest(std::vector<SeenFunction>& seen, std::string_view id)
{
    const auto place = std::ranges::find(seen, id, &SeenFunction::id);
    if (place == seen.end()) return std::nullopt;
    auto function = std::move(*place);
    seen.erase(place);
    return function;
}

void add_vm_gpu(GuestVerification& guest, std::vector<SeenFunction>& devices, const Function& gpu)
{
    const auto seen = take_from_guest(devices, to_hex(gpu.vendor, 4) + to_hex(gpu.device, 4));
    const auto what = "'" + to_string(gpu.address) + "' (" + device_id(gpu) + ")";
    guest.checks.push_back(
        found("gpu.visible", seen ? Verdict::ok : Verdict::error,
              what + (seen ? " is on the guest's PCI bus" : " is not on the guest's PCI bus"),
              seen ? "" : "see the task log of its last start"));
    if (!seen) return;
    const bool driverless = seen->driver.empty();
    guest.checks.push_back(
        found("driver.loaded", driverless ? Verdict::error : Verdict::ok,
              what + (driverless ? " has no driver" : " has the driver " + quote(seen->driver)),
              driverless ? "install the GPU's driver in the guest" : ""));
}

// Of a mapping's alternatives the VM has what Proxmox has reserved for it; where nothing is known of
// reservations it may be any.
std::vector<PciAddress> given_to(const SysReader& reader, const SurveyedGuest& guest)
{
    const auto reservations = read_reservations(reader);
    std::vector<PciAddress> given;
    for (const auto& address : guest.passed)
        if (std::ranges::any_of(reservations, [&](const Reservation& one) {
                return one.vmid == guest.id.vmid && reserves(one, address);
            }))
            given.push_back(address);
    return given.empty() ? guest.passed : given;
}

std::vector<Function> gpus_of_vm(const SysReader& reader, unsigned vmid)
{
    std::vector<Function> gpus;
    const auto survey = survey_host(reader, {});
    const auto* guest = survey.find(vmid);
    if (guest == nullptr || !guest->id.is_vm())
        throw Error(ErrorKind::not_found, {"there is no VM " + std::to_string(vmid) + " on this node",
                                           "'qm list' shows those that are"});
    refuse_template(guest->id, guest->config.is_template);
    for (const auto& address : given_to(reader, *guest))
        if (auto function = read_function(reader, address); function && is_gpu(*function))
            gpus.push_back(std::move(*function));
    return gpus;
}

// --- answers ---

// What qm prints after its warnings, which come in the same stream: "timeout reached, returning pid", a line
// of the configuration that it cannot read.
Json document_in(const std::string& text)
{
    const auto start = text.starts_with('{') ? 0 : text.find("\n{");
    if (start == std::string::npos) return nullptr;
    return Json::parse(text.substr(start), nullptr, false);
}

bool says_not_there(const std::string& text)
{
    return text.find("No such file or directory") != std::string::npos ||
           text.find("not found") != std::string::npos;
}

} // namespace

Finding found(std::string_view name, Verdict verdict, std::string evidence, std::string remedy)
{
    Finding finding{verdict, std::move(evidence), {std::move(remedy)}};
    finding.name = name;
    return finding;
}

std::string first_lines(const std::string& text, unsigned count)
{
    std::vector<std::string> lines;
    for (LineReader reader(text); reader.next() && lines.size() < count;)
        if (!is_blank(reader.line())) lines.emplace_back(trim(reader.line()));
    return printable(join(lines, "; "), 300);
}

GuestVerification verify_container(System& system, unsigned vmid)
{
    const auto container = survey_container(system, vmid);
    refuse_template({vmid, GuestKind::container}, container.config.is_template);
    GuestVerification guest{{vmid, GuestKind::container}, {running_check(container.running, "pct", vmid)}};
    if (!container.running) return guest;
    guest.checks.push_back(visible_in(container));
    const auto gpus = gpus_given_to(container);
    guest.checks.push_back(driver_for(gpus));
    const auto trials = trials_of(gpus, container.wanted);
    if (trials.nvidia) guest.checks.push_back(versions_in(container.inside, nvidia_module_version(system)));
    const auto run =
        run_in(system, {std::string(programs::pct), "exec", std::to_string(vmid), "--"}, parse_attach_answer);
    add_tools(guest, run, trials);
    return guest;
}

GuestVerification verify_vm(System& system, unsigned vmid)
{
    const auto gpus = gpus_of_vm(system, vmid);
    const bool runs = vm_runs(system, vmid);
    GuestVerification guest{{vmid, GuestKind::vm}, {running_check(runs, "qm", vmid)}};
    if (!runs) return guest;
    const auto run = run_in(system,
                            {std::string(paths::qm_program), "guest", "exec", std::to_string(vmid),
                             "--timeout", agent_ends_within, "--"},
                            parse_agent_answer);
    inspect_vm(guest, run, gpus, "install 'qemu-guest-agent' in the guest and set 'agent: 1'");
    return guest;
}

void inspect_vm(GuestVerification& guest, const GuestRunner& run, const std::vector<Function>& gpus,
                const std::string& agent)
{
    const auto devices = run({"cat", "/proc/bus/pci/devices"});
    if (devices.kind == GuestAnswer::Kind::not_run) {
        guest.checks.push_back(
            found("guest.agent", Verdict::unknown, "the guest agent was not asked", not_run_remedy));
        return;
    }
    if (devices.kind != GuestAnswer::Kind::done) {
        guest.checks.push_back(found("guest.agent", Verdict::unknown,
                                     "the guest agent does not answer: " + first_lines(devices.text, 2),
                                     agent + "; a guest that is not Linux cannot be inspected"));
        return;
    }
    Trials trials;
    bool has_others = false;
    auto seen = functions_in_guest(devices.text);
    for (const auto& gpu : gpus) {
        add_vm_gpu(guest, seen, gpu);
        (gpu.vendor == 0x10de ? trials.nvidia : has_others) = true;
        trials.compute = trials.compute || gpu.vendor == 0x1002;
    }
    if (gpus.empty())
        guest.checks.push_back(found("gpu.visible", Verdict::error,
                                     "it is passed no GPU, or a mediated one only",
                                     "give it one ('pve-gpu-install status' shows those of this host)"));
    if (has_others) trials.renders.emplace_back("/dev/dri/renderD128");
    add_tools(guest, run, trials);
}

// lxc-attach ends with 127 where there is no such program, as a shell does.
GuestAnswer parse_attach_answer(const SysResult& outcome)
{
    constexpr int no_such_program = 127;
    if (outcome.only_listed) return {GuestAnswer::Kind::not_run, ""};
    if (outcome.still_running()) return {GuestAnswer::Kind::no_answer, outcome.text};
    if (outcome.done()) return {GuestAnswer::Kind::done, outcome.text};
    if (outcome.error_number == no_such_program) return {GuestAnswer::Kind::not_installed, outcome.text};
    return {GuestAnswer::Kind::failed, outcome.text};
}

// {"exitcode": 0, "exited": 1, "out-data": "..."}, the data decoded (qemu_exec_status in qemu-server's
// Agent.pm); without "exited" the program runs on, with "signal" and no "exitcode" it was killed. The agent
// itself tells of a program that is not there (guest-exec in QEMU's qga/commands.c), and qm prints that.
GuestAnswer parse_agent_answer(const SysResult& outcome)
{
    if (outcome.only_listed) return {GuestAnswer::Kind::not_run, ""};
    if (outcome.still_running()) return {GuestAnswer::Kind::no_answer, outcome.text};
    const auto json = document_in(outcome.text);
    if (!json.is_object())
        return {says_not_there(outcome.text) ? GuestAnswer::Kind::not_installed
                                             : GuestAnswer::Kind::no_answer,
                outcome.text};
    const auto text = text_in(json, "out-data") + text_in(json, "err-data");
    const auto code = json.find("exitcode");
    if (code == json.end() && json.contains("signal")) return {GuestAnswer::Kind::failed, text};
    if (code == json.end() || !code->is_number_integer()) return {GuestAnswer::Kind::no_answer, text};
    return {*code == 0 ? GuestAnswer::Kind::done : GuestAnswer::Kind::failed, text};
}

Json verification_json(const std::vector<GuestVerification>& guests)
{
    Json json{{"schema", "pve-gpu-hook/verify/1"}, {"guests", Json::array()}};
    for (const auto& verified : guests) {
        auto checks = Json::array();
        for (const auto& check : verified.checks)
            checks.push_back({{"name", check.name},
                              {"verdict", to_string(check.verdict)},
                              {"evidence", check.evidence},
                              {"remedy", check.remedy.words}});
        const auto& id = verified.guest;
        json["guests"].push_back({{"vmid", id.is_instance() ? Json(nullptr) : Json(id.vmid)},
                                  {"instance", or_null(id.instance)},
                                  {"type", id.type()},
                                  {"checks", checks}});
    }
    return json;
}

std::string print_verification(const GuestVerification& verified)
{
    std::string text = verified.guest.name() + "\n";
    for (const auto& check : verified.checks) {
        auto line = "  " + std::string(check.name);
        line.resize(std::max<std::size_t>(line.size() + 1, 18), ' ');
        line += to_string(check.verdict);
        line.resize(std::max<std::size_t>(line.size() + 1, 26), ' ');
        text += line;
        text += printable(check.evidence) + "\n";
        if (const auto& fix = check.remedy.words; !fix.empty())
            text += std::string(26, ' ') + printable(fix) + "\n";
    }
    return text;
}

} // namespace pvegpu
