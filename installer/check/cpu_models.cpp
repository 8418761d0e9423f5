#include "check/cpu_models.hpp"

#include "base/text.hpp"

namespace pvegpu {

// Grammar: PVE::SectionConfig; the section's kind is "cpu-model".
CpuModels parse_cpu_models(std::string_view text)
{
    constexpr std::string_view kind = "cpu-model:";
    CpuModels models;
    auto current = models.end();
    for (LineReader lines(text); lines.next();) {
        const auto line = lines.line();
        if (is_blank(line)) continue;
        if (!is_space(line.front())) {
            const bool model = line.starts_with(kind);
            current =
                model ? models.try_emplace(std::string(trim(line.substr(kind.size())))).first : models.end();
        } else if (const auto setting = split_once(trim(line), ' '); setting && current != models.end()) {
            current->second[std::string(setting->first)] = trim(setting->second);
        }
    }
    return models;
}

GuestCpu guest_cpu_of(std::string_view setting, const CpuModels& models)
{
    constexpr std::string_view custom = "custom-", type = "cputype=";
    GuestCpu cpu{"kvm64", false};
    for (auto part : split(setting, ',')) {
        if (part.starts_with(type)) part.remove_prefix(type.size());
        if (part.starts_with("phys-bits=")) cpu.has_phys_bits = true;
        if (!part.empty() && part.find('=') == std::string_view::npos) cpu.model = part;
    }
    if (!cpu.model.starts_with(custom)) return cpu;
    const auto model = models.find(cpu.model.substr(custom.size()));
    if (model == models.end()) return cpu;
    const auto reported = model->second.find("reported-model");
    cpu.model = reported == model->second.end() ? "kvm64" : reported->second;
    cpu.has_phys_bits = cpu.has_phys_bits || model->second.contains("phys-bits");
    return cpu;
}

} // namespace pvegpu
