from django.test import TestCase
from django.urls import reverse

from books.models import Book


class Library(TestCase):
    def test_a_book_is_added_and_lent(self) -> None:
        self.client.post(reverse("add"), {"title": "Pando", "author": "Grant"})
        book = Book.objects.get()
        self.client.post(reverse("lend", args=[book.pk]))
        page = self.client.get(reverse("index"))
        self.assertContains(page, "Pando, Grant (lent)")
        self.assertEqual(page["X-Catalogue"], "5")

    def test_a_book_without_a_title_is_refused(self) -> None:
        self.assertEqual(self.client.post(reverse("add"), {"author": "Grant"}).status_code, 400)

    def test_suggestions_are_taken_listed_and_forgotten(self) -> None:
        path = reverse("suggestions")
        self.assertEqual(self.client.post(path, {"title": "Aspen"}, content_type="application/json").status_code, 201)
        self.assertEqual([each["title"] for each in self.client.get(path).json()], ["Aspen"])
        self.assertEqual(self.client.delete(path).json(), [])
