FH020 a.y says that it was x, but both are in the applied model
  apply a model without a.y first, then rename x; or take `was` away
