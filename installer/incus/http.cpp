#include "incus/http.hpp"

#include "base/text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>

namespace pvegpu {

namespace http = boost::beast::http;

std::string print_http(const HttpRequest& request)
{
    constexpr unsigned http_1_1 = 11;
    http::request<http::string_body> message(http::string_to_verb(request.method), request.target, http_1_1);
    message.set(http::field::host, "localhost");
    message.set(http::field::connection, "close");
    if (!request.if_match.empty()) message.set(http::field::if_match, request.if_match);
    if (!request.body.empty()) {
        message.set(http::field::content_type, "application/json");
        message.body() = request.body;
        message.prepare_payload();
    }
    std::ostringstream text;
    text << message;
    return text.str();
}

std::optional<HttpAnswer> parse_http(std::string_view text)
{
    http::response_parser<http::string_body> parser;
    parser.body_limit(text.size());
    parser.eager(true);
    boost::beast::error_code error;
    parser.put(boost::asio::buffer(text.data(), text.size()), error);
    if (!error && !parser.is_done()) parser.put_eof(error);
    if (error || !parser.is_done()) return std::nullopt;
    const auto& answer = parser.get();
    const auto etag = answer[http::field::etag];
    return HttpAnswer{answer.result_int(), std::string(etag.data(), etag.size()), answer.body()};
}

std::string url_part(std::string_view text)
{
    constexpr std::string_view plain = "-._~";
    std::string part;
    for (const char c : text) {
        if (is_alnum(c) || plain.find(c) != std::string_view::npos)
            part += c;
        else
            part += "%" + to_hex(static_cast<unsigned char>(c), 2);
    }
    return part;
}

} // namespace pvegpu
