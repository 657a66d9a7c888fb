from django.urls import path

from books import views

urlpatterns = [
    path("", views.index, name="index"),
    path("books/", views.add, name="add"),
    path("books/<int:pk>/lend/", views.lend, name="lend"),
    path("api/suggestions/", views.suggestions, name="suggestions"),
]
