#include "usage/pci_writers.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "machine/bounded_child.hpp"
#include "machine/paths.hpp"
#include "usage/open_files.hpp"

#include <algorithm>
#include <array>

namespace pvegpu {
namespace {

// Where a task waits for the users of a vfio device to close it: in S at first, in D after a signal. Measured
// on 6.1, 6.12 and 7.2: wchan says this name for both, because it leaves out the scheduler's own functions
// (wait_woken, wait_for_completion, mutex_lock).
constexpr std::string_view waits_for_vfio_users = "vfio_unregister_group_dev";

// The kernel's functions behind a write to sysfs, a slot event or a hotplug of the firmware that are inside
// the PCI core's add, remove, reset and driver-binding code:
// drivers/pci/{pci-sysfs,pci-driver,remove,probe}.c, drivers/base/bus.c, drivers/pci/hotplug/. The first one
// that a stack contains is named, so what was written to comes before what it calls.
constexpr std::string_view inside_pci =
    "remove_store reset_store reset_subordinate_store reset_method_store bus_rescan_store dev_rescan_store "
    "rescan_store unbind_store bind_store new_id_store remove_id_store drivers_probe_store "
    "driver_override_store enable_store sriov_numvfs_store power_write_file pciehp_ acpiphp_ "
    "pci_stop_and_remove_bus_device pci_stop_bus_device pci_rescan_bus pci_lock_rescan_remove "
    "pci_bus_add_device pci_device_remove vfio_unregister_group_dev";
static_assert(inside_pci.ends_with(waits_for_vfio_users));

// Where tasks sleep that do nothing: for an event, a signal, a child, somebody's data. Most tasks do, and
// their other files need not be read. The names are the kernel's, as its wchan says them.
constexpr std::array<std::string_view, 17> idle_waits{
    "ep_poll",         "do_epoll_wait",     "poll_schedule_",  "do_poll",         "futex_",
    "do_wait",         "hrtimer_nanosleep", "__x64_sys_pause", "do_sigtimedwait", "sigsuspend",
    "pipe_read",       "anon_pipe_read",    "unix_stream_",    "unix_wait_",      "inet_csk_accept",
    "__skb_wait_for_", "n_tty_read"};

// The same of the kernel's own threads, which have no threads beside them.
constexpr std::array<std::string_view, 5> idle_kernel_waits{
    "worker_thread", "rescuer_thread", "smpboot_thread_fn", "irq_thread", "kthread_worker_fn"};

bool begins_with_one_of(std::string_view name, const auto& beginnings)
{
    return std::ranges::any_of(beginnings,
                               [&](std::string_view beginning) { return name.starts_with(beginning); });
}

// "[<0>] vfio_unregister_group_dev+0x9a/0xf0 [vfio]" -> the name; "" for a function of a module other than
// vfio's and the hotplug drivers', because zram and USB have a remove_store and a reset_store too.
std::string_view kernel_function_in(std::string_view line)
{
    const auto begin = line.find("] ");
    if (begin == std::string_view::npos) return "";
    auto name = line.substr(begin + 2);
    const bool of_module = name.ends_with(']');
    name = name.substr(0, name.find_first_of("+. "));
    if (of_module && name.ends_with("_store")) return "";
    return name;
}

std::vector<std::string_view> kernel_functions_in(std::string_view stack)
{
    std::vector<std::string_view> functions;
    for (LineReader lines(stack); lines.next();) functions.push_back(kernel_function_in(lines.line()));
    return functions;
}

// The first of `inside_pci` that is in the stack; "" if none is. Only names that end in "_" or stand for a
// family are beginnings: "remove_store" must not match "remove_storey_fn", nor "bind_store" "unbind_store".
std::string_view give_away(const std::vector<std::string_view>& functions)
{
    static const auto known_functions = words_of(inside_pci); // a host has thousands of tasks
    for (const auto known : known_functions)
        for (const auto function : functions) {
            const bool family = known.ends_with('_') || known.starts_with("pci_");
            if (family ? function.starts_with(known) : function == known) return function;
        }
    return "";
}

class WriterSearch {
public:
    explicit WriterSearch(const SysReader& reader)
        : reader_(reader), self_(reader.read_link(std::string(paths::proc_self)).value_or(""))
    {
    }

    // Whichever of its threads is at work: a program's first one often only waits for the others.
    void look_at(const std::string& pid)
    {
        if (pid == self_) return;
        const auto directory = paths::join(paths::proc, pid);
        const auto wchan = reader_.read(directory + "/wchan").value_or("");
        if (begins_with_one_of(wchan, idle_kernel_waits)) return;
        look_at_task(directory, wchan);
        const auto threads = paths::join(directory, "task");
        // The kernel counts threads as the directory's links, beside the two that each has (proc_task_getattr
        // in fs/proc/base.c).
        constexpr unsigned links_with_one_thread = 3;
        if (reader_.file_facts(threads).value_or(FileFacts{}).links == links_with_one_thread) return;
        for (const auto& thread : reader_.list(threads)) {
            const auto task = paths::join(threads, thread);
            if (thread != pid) look_at_task(task, reader_.read(task + "/wchan").value_or(""));
        }
    }

    std::vector<PciWriter> take() { return std::move(found_); }

private:
    void look_at_task(const std::string& directory, const std::string& wchan)
    {
        if (begins_with_one_of(wchan, idle_waits)) return;
        const auto stat = parse_proc_stat(reader_.read(directory + "/stat").value_or(""));
        if (!stat || std::to_string(stat->parent) == self_) return;
        const bool worth_a_look = stat->state == 'D' || (stat->state == 'S' && is_suspicious(wchan));
        if (worth_a_look) add(*stat, reader_.read(directory + "/stack").value_or(""));
    }

    // A sleeping task that could be woken waits in the PCI core only for a vfio device, or for somebody who
    // does; `wait_woken` in case a kernel counts it as no function of the scheduler.
    static bool is_suspicious(std::string_view wchan)
    {
        return wchan.starts_with("vfio_") || wchan == "wait_woken" || !give_away({wchan}).empty();
    }

    void add(const ProcStat& stat, const std::string& stack)
    {
        const auto functions = kernel_functions_in(stack);
        auto where = give_away(functions);
        // Whatever a child of an earlier run waits for, the next write would wait behind it.
        if (where.empty() && stat.state == 'D' && stat.program == bounded_child_name)
            where = functions.empty() ? "unknown" : functions.front();
        if (where.empty()) return;
        const bool stuck = contains(functions, waits_for_vfio_users);
        found_.push_back({stat.pid, stat.program, std::string(where), stuck});
    }

    const SysReader& reader_;
    std::string self_;
    std::vector<PciWriter> found_;
};

} // namespace

std::vector<PciWriter> find_pci_writers(const SysReader& reader)
{
    WriterSearch search(reader);
    for (const auto& name : reader.list(std::string(paths::proc)))
        if (consists_of(name, is_digit)) search.look_at(name);
    return search.take();
}

} // namespace pvegpu
