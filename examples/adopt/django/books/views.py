import json
import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from books.forms import BookForm
from books.models import Book, Suggestion

logger = logging.getLogger(__name__)


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "books/index.html", {"books": Book.objects.all(), "form": BookForm()})


@require_POST
def add(request: HttpRequest) -> HttpResponse:
    form = BookForm(request.POST)
    if not form.is_valid():
        return render(request, "books/index.html", {"books": Book.objects.all(), "form": form}, status=400)
    book = form.save()
    logger.info("book %d added", book.pk)
    return redirect("index")


@require_POST
def lend(request: HttpRequest, pk: int) -> HttpResponse:
    book = get_object_or_404(Book, pk=pk)
    book.is_lent = True
    book.save()
    return redirect("index")


@csrf_exempt
def suggestions(request: HttpRequest) -> JsonResponse:
    """GET lists them, POST takes one, DELETE forgets all."""
    if request.method == "POST":
        made = Suggestion.objects.create(title=json.loads(request.body)["title"])
        return JsonResponse({"id": made.pk, "title": made.title}, status=201)
    if request.method == "DELETE":
        Suggestion.objects.all().delete()
    return JsonResponse([{"id": each.pk, "title": each.title} for each in Suggestion.objects.order_by("id")], safe=False)
