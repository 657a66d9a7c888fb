from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def add_version(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["X-Notes"] = "3"
        return response

    return middleware
