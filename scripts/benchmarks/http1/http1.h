/* SPDX-License-Identifier: MIT */
/* http1.h -- what the parsers under test have in common: the messages, and the clock. Each
 * parser is a program of its own, since the headers of two of them cannot be had together. */
#ifndef BENCH_HTTP1_H
#define BENCH_HTTP1_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char BROWSER[] =
    "GET /articles/2026/11/parsers?page=2&order=newest HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"128\", \"Not;A=Brand\";v=\"24\", \"Google "
    "Chrome\";v=\"128\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
    "like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36\r\n"
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/"
    "webp\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
    "Cookie: session=6f2a1c9be0d34b7c\r\n"
    "\r\n";

static const char CURL[] = "GET / HTTP/1.1\r\n"
                           "Host: localhost:8080\r\n"
                           "User-Agent: curl/7.88.1\r\n"
                           "Accept: */*\r\n"
                           "\r\n";

static const char NGINX[] = "HTTP/1.1 200 OK\r\n"
                            "Server: nginx/1.22.1\r\n"
                            "Date: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
                            "Content-Type: text/html; charset=utf-8\r\n"
                            "Content-Length: 0\r\n"
                            "Last-Modified: Fri, 20 Nov 2026 08:15:30 GMT\r\n"
                            "Connection: keep-alive\r\n"
                            "ETag: \"655b1e22-0\"\r\n"
                            "Accept-Ranges: bytes\r\n"
                            "\r\n";

/* Parses one message; what it returns is summed up, so that nothing can be left out. */
typedef size_t (*parse_fn)(const char *bytes, size_t length, int response);

/* PROGRAM browser|curl|nginx COUNT */
static int run(int argc, char *argv[], parse_fn parse)
{
    const char *text = argc > 1 && strcmp(argv[1], "curl") == 0    ? CURL
                       : argc > 1 && strcmp(argv[1], "nginx") == 0 ? NGINX
                                                                   : BROWSER;
    long count = argc > 2 ? atol(argv[2]) : 1000000;
    size_t length = strlen(text), sum = 0;
    char *bytes = (char *)malloc(length);
    clock_t start;

    memcpy(bytes, text, length);
    start = clock();
    for (long i = 0; i < count; i++) {
        __asm__ volatile(""
                         :
                         : "r"(bytes)
                         : "memory"); /* they may have changed */
        sum += parse(bytes, length, text == NGINX);
    }
    if (sum == 0) return 1;
    printf("bytes=%.0f cpu=%.6f\n", (double)count * (double)length,
           (double)(clock() - start) / CLOCKS_PER_SEC);
    free(bytes);
    return 0;
}

#endif
