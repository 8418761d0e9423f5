#include "containers/container_start.hpp"

#include "base/lists.hpp"
#include "base/text.hpp"
#include "containers/node_plan.hpp"
#include "machine/paths.hpp"

namespace pvegpu {
namespace {

class Forecast {
public:
    Forecast(const ContainerSurvey& container, const LxcConfig& config)
        : container_(container), config_(config), devices_(config.devices_at_next_start()),
          named_(wanted_nodes(config, devices_))
    {
    }

    StartForecast make()
    {
        for (const auto& device : devices_)
            if (device.start_error)
                result_.refusals.push_back({"'" + device.key + "' (line " + std::to_string(device.line) +
                                                "): " + *device.start_error,
                                            pct_set("--delete " + device.key)});
        append(result_.refusals, double_entries(config_, devices_));
        append(result_.refusals, container_.not_delegated);
        for (const auto& [device, fact, value] : wrong_groups(container_.inside, devices_))
            result_.warnings.push_back({"container " + std::to_string(container_.vmid) + ": " + fact,
                                        pct_set("--" + device.key + " " + value)});
        for (const auto& [one, fact, instead, stays] :
             moved_nodes(container_.owners, named_, container_.host.gpus))
            warn_of_moved(one, fact, instead, stays);
        const auto wanted = named_;
        for (const auto& one : wanted) look_at(one);
        load_drivers(wanted);
        if (const auto& missing = container_.missing_devices; !missing.empty())
            result_.warnings.push_back({"container " + std::to_string(container_.vmid) +
                                            " cannot start while " + join(missing, ", ") +
                                            (missing.size() == 1 ? " is" : " are") + " not on the host",
                                        "plug it in, or take the line out"});
        return std::move(result_);
    }

private:
    std::string pct_set(const std::string& rest) const
    {
        return "'pct set " + std::to_string(container_.vmid) + " " + rest + "'";
    }

    void warn_of_moved(const WantedNode& wanted, const std::string& fact, const std::string& instead,
                       const std::string& stays)
    {
        std::vector<std::string> remedies;
        for (const auto& device : devices_)
            if (device.key == wanted.from && !instead.empty())
                remedies.push_back(pct_set("--" + device.key + " " + device.value_with_path(instead)));
        if (!stays.empty()) remedies.push_back(stays);
        result_.warnings.push_back({line_of(wanted) + ": " + fact, join(remedies, "; ")});
    }

    // The node as it is on the host; an optional mount that is not there stops nothing.
    const NodeFacts* missing(const WantedNode& wanted) const
    {
        const auto* facts = find_where(container_.host.nodes, [&](const NodeFacts& one) {
            return one.wanted.node.path == wanted.node.path;
        });
        return facts == nullptr || facts->present || wanted.optional ? nullptr : facts;
    }

    std::string line_of(const WantedNode& wanted) const
    {
        return paths::ct_config(container_.vmid) + ":" + std::to_string(wanted.line) + " (" + wanted.from +
               ") names " + quote(wanted.node.path);
    }

    std::string correction(const WantedNode& wanted, const Obstacle& obstacle)
    {
        if (obstacle.is_the_lines && obstacle.instead.size() == 1) {
            const auto& path = obstacle.instead.front();
            named_.push_back({*parse_gpu_node(path), wanted.from, path}); // one line may name it
            for (const auto& device : devices_)
                if (wanted.by_proxmox && device.key == wanted.from)
                    return pct_set("--" + device.key + " " + device.value_with_path(path)) +
                           " names the device node that is there, or " + pct_set("--delete " + device.key) +
                           " takes the line out";
        }
        return obstacle.why.remedy;
    }

    void look_at(const WantedNode& wanted)
    {
        const auto* facts = missing(wanted);
        if (facts == nullptr) return;
        const auto& node = wanted.node;
        if (wanted.by_proxmox && !facts->number) result_.missing.push_back(node.path);
        const auto* const is_not =
            facts->number ? ", behind which there is no driver" : ", which is not on this host";
        if (const auto obstacle = why_missing(wanted, container_.host, named_)) {
            const Advice advice{line_of(wanted) + is_not + obstacle->why.fact, correction(wanted, *obstacle)};
            // Proxmox and LXC ask for a node, not whether anything is behind it.
            (facts->number ? result_.warnings : result_.refusals).push_back(advice);
        } else if (const auto no_program = no_maker(node, container_.host)) {
            // Something else may make it before the hook has waited in vain; for a devN that is too late.
            (wanted.by_proxmox && !facts->number ? result_.refusals : result_.warnings)
                .push_back({line_of(wanted) + is_not + no_program->fact, no_program->remedy});
        } else if (wanted.by_proxmox && node.is_nvidia()) {
            result_.to_make.push_back(node.path);
        }
    }

    // What nvidia-modprobe makes it loads the driver for too; a mount is in time with the hook.
    void load_drivers(const std::vector<WantedNode>& wanted)
    {
        ContainerGuest guest{container_.vmid, config_, wanted, {}};
        auto host = container_.host;
        std::erase_if(host.nodes, [](const NodeFacts& facts) {
            return facts.present || !facts.wanted.by_proxmox || facts.wanted.node.is_nvidia();
        });
        for (const auto& step : make_container_plan(guest, host, Settings{}).steps)
            if (step.kind == NodeStep::Kind::load)
                result_.to_load.push_back({std::string(paths::modprobe_program), "-b", step.target});
    }

    const ContainerSurvey& container_;
    const LxcConfig& config_;
    std::vector<LxcDevice> devices_;
    std::vector<WantedNode> named_; // by its lines, and by what was said to write
    StartForecast result_;
};

} // namespace

StartForecast forecast_start(const ContainerSurvey& container, const LxcConfig& config)
{
    return Forecast(container, config).make();
}

Advice cannot_start(unsigned vmid, const std::vector<Advice>& refusals)
{
    std::vector<std::string> facts, remedies;
    for (const auto& [fact, remedy] : refusals) {
        facts.push_back(fact);
        if (!contains(remedies, remedy)) remedies.push_back(remedy);
    }
    return {"container " + std::to_string(vmid) + " could not start: " + join(facts, "; and "),
            join(remedies, "; ")};
}

} // namespace pvegpu
