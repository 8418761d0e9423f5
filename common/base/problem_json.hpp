// What went wrong, as every answer of '--json' and every report has it.
#pragma once

#include "base/error.hpp"
#include "base/json.hpp"

namespace pvegpu {

// { "reason": "in-use", "what": "...", "remedy": "...", "where": null }; what is not known is null.
inline Json problem_json(const Problem& problem)
{
    return {{"reason", to_string(problem.reason)},
            {"what", problem.advice.fact},
            {"remedy", or_null(problem.advice.remedy)},
            {"where", or_null(problem.where)}};
}

// The same of a command line that is not understood.
inline Json usage_problem(const std::string& what)
{
    return {{"reason", "usage"}, {"what", what}, {"remedy", "see '--help'"}, {"where", nullptr}};
}

// A whole answer to '--json' of either program: its schema, what is known, and what went wrong.
inline std::string json_answer(const std::string& name, const Json& known, const Json& problem = nullptr)
{
    Json answer{{"schema", "pve-gpu-hook/" + name + "/1"}};
    if (known.is_object()) answer.update(known);
    if (!problem.is_null()) answer["error"] = problem;
    return print(answer);
}

} // namespace pvegpu
