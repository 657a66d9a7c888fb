from django.urls import include, path, re_path
from django.views.static import serve

from website.settings import BASE_DIR

urlpatterns = [
    re_path(r"^static/(?P<path>.*)$", serve, {"document_root": BASE_DIR / "notes" / "static"}),
    path("", include("notes.urls")),
]
