#include "fake_system.hpp"
#include "base/text.hpp"

#include "machine/paths.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace pvegpu::testing {
namespace {

// Files whose reading can block for ever on a real host. Reading them with plain read() is a mistake that no
// other test would show.
bool can_block(const std::string& path)
{
    constexpr std::array<std::string_view, 4> names{"config", "driver_override", "sriov_numvfs", "cmdline"};
    const auto name = base_name(path);
    const bool by_name = std::find(names.begin(), names.end(), name) != names.end();
    const bool of_the_kernel = is_below(path, paths::sys) || is_below(path, paths::proc);
    return is_below(path, paths::pve) || (by_name && of_the_kernel && path != paths::kernel_command_line);
}

std::string without_line_end(std::string_view text)
{
    while (text.ends_with('\n')) text.remove_suffix(1);
    return std::string(text);
}

std::string joined(const std::vector<std::string>& words)
{
    std::string text;
    for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

SysResult refusal(int error_number)
{
    return {SysResult::Kind::refused, error_number, "", 0, ""};
}

SysResult as_outcome(int error_number)
{
    return error_number == 0 ? SysResult{} : refusal(error_number);
}

} // namespace

FakeSystem::~FakeSystem() = default;

FakeSystem::FakeSystem(const std::string& kernel_release)
    : pci_(tree_), drivers_(tree_, pci_),
      kernel_(tree_, pci_, drivers_,
              [this](Milliseconds wait, std::function<void()> event) { at(wait, std::move(event)); })
{
    file(std::string(paths::kernel_release), kernel_release + '\n');
    file(std::string(paths::host_name), "pve\n");
    tree_.set_link(std::string(paths::proc_self), std::to_string(own_pid()));
    add_process(own_pid(), "pve-gpu-hook", {}, parent_pid());
    add_process(parent_pid(), "task UPID:pve:0", {}, 1, 5000);
    add_driver("pcieport", {"class:0604"});
    add_driver("vfio-pci", {});
    file(std::string(paths::vfio_references), "1\n");
}

// --- reading ---

// Where the server is gone, the way to the file blocks as its reading does.
void FakeSystem::refuse_to_hang(const std::string& path) const
{
    if (hanging_reads_.contains(path)) throw std::logic_error("'" + path + "' hangs: ask read_within first");
}

std::optional<std::string> FakeSystem::read(const std::string& path) const
{
    if (can_block(path) || hanging_reads_.contains(path))
        throw std::logic_error("read() of '" + path + "', which can block: use read_within");
    const auto* node = tree_.find(path);
    if (node == nullptr || node->kind != FakeNode::Kind::file || refused_reads_.contains(path)) return {};
    return node->text;
}

std::optional<std::string> FakeSystem::read_records(const std::string& path, std::size_t bytes,
                                                    Milliseconds /*timeout*/) const
{
    const auto* node = tree_.find(path);
    if (node == nullptr || node->kind != FakeNode::Kind::file || refused_reads_.contains(path)) return {};
    return node->text.substr(node->text.size() - std::min(bytes, node->text.size()));
}

std::optional<std::string> FakeSystem::read_link(const std::string& path) const
{
    refuse_to_hang(path);
    const auto* node = tree_.find_unfollowed(path);
    if (node == nullptr || node->kind != FakeNode::Kind::link) return std::nullopt;
    return node->text;
}

std::vector<std::string> FakeSystem::list(const std::string& path) const
{
    if (hanging_reads_.contains(path)) throw std::logic_error("list() of '" + path + "', which hangs");
    return tree_.list(path);
}

std::vector<std::string> FakeSystem::list_directories(const std::string& path) const
{
    auto names = tree_.list(path);
    std::erase_if(names, [&](const std::string& name) {
        const auto* node = tree_.find_unfollowed(paths::join(path, name));
        return node == nullptr || node->kind != FakeNode::Kind::directory;
    });
    return names;
}

bool FakeSystem::exists(const std::string& path) const
{
    return tree_.find(path) != nullptr;
}

std::optional<DeviceNumber> FakeSystem::device_number(const std::string& path) const
{
    const auto* node = tree_.find_unfollowed(path);
    if (node != nullptr && node->number) return node->number;
    node = tree_.find(path);
    return node == nullptr ? std::nullopt : node->number;
}

// The whole tree is one file system.
std::optional<FileFacts> FakeSystem::file_facts(const std::string& path) const
{
    refuse_to_hang(path);
    const auto real = tree_.resolve(path);
    if (!real) return std::nullopt;
    FileFacts facts{tree_.find(*real)->kind == FakeNode::Kind::file, 0, 0, 0644, {8, 1, true}, 0};
    if (const auto known = rights_.find(*real); known != rights_.end()) {
        facts.owner = known->second.owner;
        facts.mode = known->second.mode;
    }
    facts.inode = std::hash<std::string>{}(*real);
    return facts;
}

void FakeSystem::set_rights(const std::string& path, uid_t owner, mode_t mode)
{
    auto& facts = rights_[tree_.resolve(path).value()];
    facts.owner = owner;
    facts.mode = mode;
}

SysResult FakeSystem::read_within(const std::string& path, std::size_t bytes, Milliseconds timeout) const
{
    if (base_name(path) == "sriov_numvfs") throw std::logic_error("sriov_numvfs is never read");
    if (hanging_reads_.contains(path)) return still_running(timeout, "[<0>] pci_wait_cfg+0x8a/0xd0\n");
    if (const auto refused = refused_reads_.find(path); refused != refused_reads_.end())
        return refusal(refused->second);
    const auto* node = tree_.find(path);
    if (node == nullptr) return refusal(ENOENT);
    if (node->kind != FakeNode::Kind::file) return refusal(EACCES);
    SysResult outcome;
    outcome.text = node->text.substr(0, bytes);
    return outcome;
}

SysResult FakeSystem::list_inside(const std::string& root, const std::string& directory,
                                  const std::string& prefix, Milliseconds timeout) const
{
    const auto path = root == "/" ? directory : root + directory;
    if (hanging_reads_.contains(path)) return still_running(timeout, "[<0>] fuse_readdir+0x1c/0x50\n");
    if (!tree_.resolve(path)) return refusal(ENOENT);
    SysResult outcome;
    for (const auto& name : tree_.list(path)) {
        if (!name.starts_with(prefix)) continue;
        const auto* node = tree_.find_unfollowed(paths::join(path, name));
        const auto number = node->number.value_or(DeviceNumber{});
        const bool device = node->kind == FakeNode::Kind::device;
        outcome.text += std::string(device                               ? (number.block ? "b" : "c")
                                    : node->kind == FakeNode::Kind::link ? "l"
                                                                         : "-") +
                        " " + std::to_string(number.major) + ":" + std::to_string(number.minor) + " " + name +
                        "\n";
    }
    return outcome;
}

SysResult FakeSystem::try_claim_within(const std::string& path, Milliseconds timeout) const
{
    if (hanging_reads_.contains(path)) return still_running(timeout, "");
    if (tree_.find(path) == nullptr) return refusal(ENOENT);
    return as_outcome(claimed_.contains(path) ? EBUSY : 0);
}

SysResult FakeSystem::ask(const std::string& socket, std::string_view text, std::size_t bytes,
                          Milliseconds timeout) const
{
    const auto daemon = daemons_.find(socket);
    if (daemon == daemons_.end()) return refusal(tree_.find(socket) == nullptr ? ENOENT : ECONNREFUSED);
    if (std::exchange(interrupted_, false)) throw Error(ErrorKind::interrupted, {"the task was stopped"});
    auto answer = daemon->second(std::string(text));
    if (!answer) {
        advance_to(now_ + timeout);
        return {SysResult::Kind::still_running, 0, "", 0, ""};
    }
    if (answer->size() > bytes) return refusal(EMSGSIZE);
    return {SysResult::Kind::done, 0, std::move(*answer), 0, ""};
}

// --- writing ---

void FakeSystem::record(const std::string& effect)
{
    effects_.push_back(effect);
}

// What a test asked to go wrong with this path; nothing if it takes its course.
std::optional<SysResult> FakeSystem::injected(const std::string& path, Milliseconds timeout)
{
    if (hanging_writes_.contains(path)) return still_running(timeout, "[<0>] remove_store+0x7c/0x90\n");
    if (const auto refused = refusals_.find(path); refused != refusals_.end() && refused->second.second > 0) {
        --refused->second.second;
        auto outcome = refusal(refused->second.first);
        if (const auto slow = slow_.find(path); slow != slow_.end()) advance(outcome.took = slow->second);
        return outcome;
    }
    if (const auto slow = slow_.find(path); slow != slow_.end()) {
        if (slow->second > timeout) return still_running(timeout, "[<0>] pci_dev_wait+0x12c/0x1b0\n");
        advance(slow->second);
    }
    return ignored_.contains(path) ? std::optional(SysResult{}) : std::nullopt;
}

SysResult FakeSystem::write(const std::string& path, std::string_view text, Milliseconds timeout)
{
    writes_.push_back(path + " = " + without_line_end(text));
    record(writes_.back());
    if (const auto outcome = injected(path, timeout)) return *outcome;
    const auto real = tree_.resolve(path);
    if (!real) return refusal(ENOENT);
    auto outcome = perform(path, kernel_.store(*real, text), timeout);
    if (const auto event = after_.find(path); event != after_.end() && event->second.second > 0) {
        --event->second.second;
        event->second.first();
    }
    return outcome;
}

SysResult FakeSystem::perform(const std::string& path, const Reaction& reaction, Milliseconds timeout)
{
    if (reaction.error != 0) return refusal(reaction.error);
    if (const auto delay = delays_.find(path); delay != delays_.end()) {
        at(delay->second, [reaction] { reaction.effect(); });
        return {};
    }
    if (!reaction.may_go_on || wait_until(reaction.may_go_on, timeout)) return as_outcome(reaction.effect());
    blocked_.push_back(reaction);
    return still_running(Milliseconds(0), reaction.stack);
}

SysResult FakeSystem::still_running(Milliseconds waited, const std::string& stack) const
{
    advance_to(now_ + waited);
    return {SysResult::Kind::still_running, 0, "", next_child_++, stack};
}

SysResult FakeSystem::pulse_secondary_bus_reset(const std::string& path, Milliseconds hold,
                                                Milliseconds timeout)
{
    writes_.push_back(path + " = secondary bus reset");
    record(writes_.back());
    if (const auto outcome = injected(path, timeout)) return *outcome;
    const auto real = tree_.resolve(path);
    if (!real) return refusal(ENOENT);
    advance(hold);
    return as_outcome(kernel_.pulse_secondary_bus_reset(*real));
}

SysResult FakeSystem::clear_secondary_bus_reset(const std::string& path, Milliseconds timeout)
{
    writes_.push_back(path + " = end of a secondary bus reset");
    record(writes_.back());
    if (const auto outcome = injected(path, timeout)) return *outcome;
    const auto real = tree_.resolve(path);
    const auto bridge = real ? parse_pci_address(base_name(directory_of(*real))) : std::nullopt;
    if (!bridge) return refusal(ENOENT);
    pci_.set_config_byte(*bridge, 0x3e, pci_.config_byte(*bridge, 0x3e) & ~0x40U);
    return {};
}

void FakeSystem::guard_write(const std::string& path, std::string_view text)
{
    guards_.push_back(path + " = " + without_line_end(text));
    record("guard " + guards_.back());
}

void FakeSystem::forget_guarded_writes()
{
    guards_.clear();
    record("forget guards");
}

void FakeSystem::fail_if_refused(const std::string& path)
{
    if (const auto refused = refusals_.find(path); refused != refusals_.end() && refused->second.second-- > 0)
        throw Error(ErrorKind::failed, {"cannot write '" + path + "'"}, path, refused->second.first);
}

void FakeSystem::replace_file(const std::string& path, std::string_view text)
{
    record("replace " + path);
    fail_if_refused(path);
    tree_.set_file(path, text);
}

void FakeSystem::install_file(const std::string& path, std::string_view text, mode_t mode_if_new)
{
    record("install " + path);
    fail_if_refused(path);
    if (read_link(path)) throw Error(ErrorKind::failed, {"is a symbolic link"}, path);
    const bool is_new = !exists(path);
    tree_.set_file(path, text);
    if (is_new) set_rights(path, 0, mode_if_new);
}

void FakeSystem::make_link(const std::string& path, const std::string& target)
{
    record("link " + path + " -> " + target);
    fail_if_refused(path);
    if (tree_.find_unfollowed(path) != nullptr)
        throw Error(ErrorKind::failed, {"cannot make a symbolic link"}, path, EEXIST);
    tree_.set_link(path, target);
}

void FakeSystem::remove_file(const std::string& path)
{
    record("remove file " + path);
    fail_if_refused(path);
    if (const auto real = tree_.resolve(path, false)) rights_.erase(*real);
    tree_.erase(path);
}

bool FakeSystem::create_file(const std::string& path, std::string_view text)
{
    record("create " + path);
    fail_if_refused(path);
    if (tree_.find_unfollowed(path) != nullptr) return false;
    tree_.set_file(path, text);
    return true;
}

void FakeSystem::move_file(const std::string& from, const std::string& to)
{
    record("move " + from + " to " + to);
    fail_if_refused(to);
    const auto* node = tree_.find_unfollowed(from);
    if (node == nullptr) throw Error(ErrorKind::failed, {"cannot move"}, from, ENOENT);
    const auto moved = *node;
    const auto facts = file_facts(from);
    if (const auto real = tree_.resolve(to, false)) rights_.erase(*real);
    tree_.erase(from);
    tree_.erase(to);
    if (moved.kind == FakeNode::Kind::link) return tree_.set_link(to, moved.text);
    tree_.set_file(to, moved.text);
    set_rights(to, facts->owner, facts->mode);
}

void FakeSystem::remove_empty_directory(const std::string& path)
{
    if (!exists(path) || !list(path).empty()) return;
    record("remove directory " + path);
    tree_.erase(path);
}

SysResult FakeSystem::replace_locked(const std::string& path, const std::string& lock,
                                     std::string_view before, std::string_view after, Milliseconds timeout)
{
    record("replace " + path + " with the lock " + lock);
    const auto is_free = [&] { return !locks_.contains(lock) || locks_.at(lock) <= now_; };
    if (!wait_until(is_free, timeout / 2)) return refusal(EWOULDBLOCK);
    if (const auto outcome = injected(path, timeout)) return *outcome;
    const auto* node = tree_.find(path);
    if (node == nullptr) return refusal(ENOENT);
    if (node->text != before) return refusal(ESTALE);
    tree_.set_file(path, after);
    return {};
}

bool FakeSystem::lock(const std::string& path, Milliseconds timeout)
{
    record("lock " + path);
    return wait_until([&] { return !locks_.contains(path) || locks_.at(path) <= now_; }, timeout);
}

SysResult FakeSystem::run(const std::vector<std::string>& arguments, Milliseconds timeout,
                          const OnLine& on_line)
{
    const auto outcome = answer_to(arguments, timeout);
    for (LineReader lines(outcome.text); on_line && lines.next();) on_line(lines.line());
    return outcome;
}

SysResult FakeSystem::answer_to(const std::vector<std::string>& arguments, Milliseconds timeout)
{
    const auto command = joined(arguments);
    record("run " + command);
    if (hanging_writes_.contains(arguments.front())) return still_running(timeout, "");
    const auto answer = answers_.find(command);
    const auto program = programs_.find(arguments.front());
    if (answer == answers_.end() && program != programs_.end()) return program->second(arguments);
    if (answer == answers_.end()) return {};
    auto outcome = as_outcome(answer->second.first);
    outcome.text = answer->second.second;
    return outcome;
}

void FakeSystem::add_daemon(const std::string& socket, FakeDaemon daemon)
{
    tree_.set_file(socket, "");
    daemons_[socket] = std::move(daemon);
}

void FakeSystem::add_program(const std::string& path, Program program)
{
    file(path, "a program");
    executable(path);
    if (program) programs_[path] = std::move(program);
}

void FakeSystem::say(Severity severity, std::string_view line)
{
    const auto* prefix = severity == Severity::info      ? ""
                         : severity == Severity::warning ? "warning: "
                                                         : "error: ";
    said_.push_back(prefix + std::string(line));
}

bool FakeSystem::said(std::string_view part) const
{
    return std::any_of(said_.begin(), said_.end(),
                       [&](const auto& line) { return line.find(part) != std::string::npos; });
}

} // namespace pvegpu::testing
