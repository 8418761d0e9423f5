// Incus' daemon in memory, as far as our programs ask it, with VMs that take their devices from a fake
// machine as Incus 6.0.4 does: tests/incus/README.md has what was measured. incus_test.cpp checks its answers
// against recorded ones.
#pragma once

#include "base/json.hpp"
#include "fake_system.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pvegpu::testing {

class FakeIncus {
public:
    explicit FakeIncus(FakeSystem& machine);
    // One that lives as long as the machine.
    static FakeIncus& on(FakeSystem& machine);
    FakeIncus(const FakeIncus&) = delete;
    FakeIncus& operator=(const FakeIncus&) = delete;

    // A stopped VM with these own devices.
    Json& add_vm(const std::string& name, const Json& devices, const std::string& project = "default");
    Json& instance(const std::string& name, const std::string& project = "default");
    Json devices_of(const std::string& name) { return instance(name).at("devices"); }
    std::string status_of(const std::string& name) { return instance(name).at("status").get<std::string>(); }

    // --- what goes wrong ---
    void fail_start(const std::string& error, int times = 1);
    void stop_answering(const std::string& path_part) { silent_.push_back(path_part); } // for ever
    // Called before a request is answered; the line is "PUT /1.0/instances/web?project=default".
    void before(const std::string& line_part, std::function<void()> event)
    {
        events_[line_part] = std::move(event);
    }
    void add_log(const std::string& text) { log_ = text; }
    void is_at(const std::string& name) { at_ = name; } // an operation runs for it
    void without_operations() { forgets_ = true; }      // as after the daemon's own restart

    // What programs in the VM do: status and output; without it there is no agent.
    using Inside = std::function<std::pair<unsigned, std::string>(const std::vector<std::string>& words)>;
    void add_agent(Inside inside) { inside_ = std::move(inside); }

    void start_bare(const std::string& name) { start(instance(name)); }
    void stop(const std::string& name);
    const std::vector<std::string>& asked() const
    {
        return asked_;
    } // "PUT /1.0/instances/web/state?project=default"

private:
    std::optional<std::string> answer(const std::string& request);
    std::string put_instance(Json& instance, const Json& body, const std::string& if_match);
    std::string begin(const std::string& error, const Json& metadata = Json::object());
    std::string exec(const Json& body);
    std::string start(Json& instance);
    void bind(const std::string& address);

    FakeSystem& machine_;
    std::map<std::string, Json> instances_;                     // by "project/name"
    std::map<std::string, std::pair<std::string, Json>> ended_; // operations by number: error and metadata
    std::map<std::string, std::string> files_;                  // outputs of programs, by path
    Inside inside_;
    std::vector<std::string> asked_, silent_;
    std::map<std::string, std::function<void()>> events_;
    std::string start_error_, log_, at_;
    int failures_ = 0, operations_ = 0;
    bool forgets_ = false;
    pid_t next_qemu_ = 5001;
};

} // namespace pvegpu::testing
