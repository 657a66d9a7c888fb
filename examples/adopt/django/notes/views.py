import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_GET, require_POST

from notes.models import Note
from notes.reading import minutes

logger = logging.getLogger(__name__)


@require_POST
def create(request: HttpRequest) -> HttpResponse:
    note = Note.objects.create(title=request.POST["title"], text=request.POST["text"])
    logger.info("note %d made", note.pk)
    return redirect("note", note.pk)


@require_GET
def show(request: HttpRequest, pk: int) -> HttpResponse:
    note = get_object_or_404(Note, pk=pk)
    return render(request, "notes/note.html", {"note": note, "url": request.build_absolute_uri(), "minutes": minutes(note.text)})


@require_GET
def reading_time(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"minutes": minutes(request.GET.get("text", ""))})
